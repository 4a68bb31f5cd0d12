/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The limits of a process (setrlimit(2)), under which its mappings may have to be made again. They
 * may have become lower since the checkpoint, or what is new may have used them up.
 */
#ifndef TRACER_ATTACH_LIMITS_H
#define TRACER_ATTACH_LIMITS_H

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>
#include "attach/layout.h"

enum { LIMITS_RAISED = 4 };

struct limits { /* zero-initialised: none is raised */
	pid_t pid;
	bool is_raised[LIMITS_RAISED];
	struct rlimit64 before[LIMITS_RAISED];
};

/* Raises those that count for mappings and descriptors as far as the caller may: root all the way,
 * others up to the hard limit. If the caller may die before limits__put_back(), the process must
 * die with it. */
void limits__raise(struct limits *limits, pid_t pid);

/* Is there room for the change, as the limits are now? now: the mappings. Returns 0;
 * -REASON_LIMITED; or -ENOMEM. */
int limits__check(pid_t pid, const struct mappings *now, const struct layout_change *change);

/* Harmless if none is raised. */
void limits__put_back(struct limits *limits);

#endif
