/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the kernel keeps for the calling process beside memory, threads and files: limits, groups,
 * oom_score_adj, and the registrations of membarrier(2). Usable inside a signal handler.
 */
#ifndef CAPTURE_CAPTURE_ATTRIBUTES_H
#define CAPTURE_CAPTURE_ATTRIBUTES_H

#include "capture/capture_threads.h"

/* Fills in attributes and groups of the image. threads: all of them. Returns 0, -ENOMEM or
 * -errno. */
int capture_attributes__add(struct capture *capture, const struct stopped_thread *threads);

/* The kernel does not tell what mlockall(2) was told, so whoever sees the call does. flags: 0 after
 * munlockall(2), and in a child. */
void capture_attributes__note_locks(int flags);

/* Nor does it tell that landlock_restrict_self(2) was called, which holds for children too. */
void capture_attributes__note_landlock(void);

#endif
