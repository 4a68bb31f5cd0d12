/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The threads of the calling process: which there are, their registers, and what each has
 * registered with the kernel. Usable inside a signal handler.
 */
#ifndef CAPTURE_CAPTURE_THREADS_H
#define CAPTURE_CAPTURE_THREADS_H

#include <sys/types.h>

#include "capture/capture_strings.h"
#include "capture/stopped_thread.h"

/* Lists the threads of this process, at most max of them; the main one even if it has ended alone.
 * Returns how many there are, which may be more than max; or -errno. */
ssize_t capture_threads__list(pid_t *tids, size_t max);

/* In a process that was brought back: the number that the thread has now, if it is one of them.
 * restart has written it where the C library keeps it. */
pid_t capture_threads__new_tid(const struct stopped_thread *threads, pid_t old);

/* Fills in thread->thread for the calling thread, all but the resume point. */
void capture_threads__describe(struct stopped_thread *thread);

/* Fills in the threads and registers of the image. threads: all of them, the first one first; their
 * resume points are set. Returns 0 or -ENOMEM. */
int capture_threads__add(struct capture *capture, struct stopped_thread *threads);

#endif
