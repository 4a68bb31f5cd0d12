/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Other processes that have the same memory: made by clone(2) with CLONE_VM, without CLONE_THREAD.
 */
#ifndef TRACER_TARGET_SHARERS_H
#define TRACER_TARGET_SHARERS_H

#include <stddef.h>
#include <sys/types.h>
#include "target/threads.h"

/* Processes that had the same memory when they were looked for. The owner frees it with
 * sharers__clear(). */
struct sharers {
	pid_t *pids;
	size_t count;
};

/*
 * Looks at all processes, and replaces what *sharers has. Process pid may run. A child of vfork(2)
 * is among them until it executes a program. None is found if the kernel has no kcmp(2), or forbids
 * it. Returns 0 or -errno (*sharers is then as before).
 */
int sharers__look_around(pid_t pid, struct sharers *sharers);

/*
 * Returns one that still has the memory: of *sharers, or a child of a thread of process pid; or 0.
 * The process must stand still: then no child of vfork(2) has its memory. Not found: a later one
 * whose parent has ended, and children if the kernel does not list them (CONFIG_PROC_CHILDREN).
 */
pid_t sharers__find(const struct sharers *sharers, pid_t pid, const struct threads *threads);

/* Frees and empties it; harmless on a zeroed struct. */
void sharers__clear(struct sharers *sharers);

#endif
