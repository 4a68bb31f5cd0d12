/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Makes mappings of a process as they were at a checkpoint, by system calls that it makes for us
 * (inject.h). Their bytes are the caller's business.
 */
#ifndef TRACER_ATTACH_REMAKE_H
#define TRACER_ATTACH_REMAKE_H

#include "attach/layout.h"
#include "target/inject.h"
#include "target/memory.h"

/* Are the files that are to be mapped again still there, and the same? Returns 0, or
 * -REASON_MEMORY_GONE with *ret_gone. */
int remake__check_files(pid_t pid, const struct layout_change *change,
			const struct mapping **ret_gone);

/* Unmaps, maps, protects, and moves the end of the heap. Returns 0; -ESRCH; or -errno: some of it
 * is then done. */
int remake__mappings(struct inject *inject, struct memory *memory,
		     const struct layout_change *change);

/* Lets pages of ranges go (MADV_DONTNEED): they read as zeros, or as the file, again. As above. */
int remake__discard(struct inject *inject, const struct intervals *ranges);

#endif
