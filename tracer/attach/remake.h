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

/* Are the files that are to be mapped again still there, by their names and inodes? Returns 0, or
 * -REASON_MEMORY_GONE with *ret_gone. */
int remake__check_files(pid_t pid, const struct layout_change *change,
			const struct mapping **ret_gone);

/* The size of the file of a mapping, in whole pages; of a device, UINT64_MAX. Returns 0; -ESTALE if
 * another file has that name; or another -errno. */
int remake__file_bytes(pid_t pid, const struct mapping *mapping, uint64_t *ret_bytes);

/* May the mappings of now be changed? Not if they are sealed, mseal(2). Returns 0, or
 * -REASON_SEALED with *ret_sealed. */
int remake__check_seals(struct inject *inject, const struct mappings *now,
			const struct layout_change *change, const struct mapping **ret_sealed);

/* May anonymous memory of the process be executable again? Not if it has forbidden that to itself,
 * PR_SET_MDWE(2const), or a security module has. Returns as remake__check_access. */
int remake__check_rights(struct inject *inject, const struct mappings *now,
			 const struct layout_change *change, const struct mapping **ret_refused);

/* May the process open the files that are to be mapped again, and map them? May it have the rights
 * that shared mappings had? now: the mappings. Returns 0; -ESRCH; or, with *ret_refused,
 * -REASON_MEMORY_GONE if there is another file of that name, or none; or -errno. */
int remake__check_access(pid_t pid, struct inject *inject, struct memory *memory,
			 const struct mappings *now, const struct layout_change *change,
			 const struct mapping **ret_refused);

/* Unmaps, maps, protects, and moves the end of the heap. Returns 0; -ESRCH; or -errno: some of it
 * is then done. */
int remake__mappings(struct inject *inject, struct memory *memory,
		     const struct layout_change *change);

/* The numbers of madvise(2); sys/mman.h may be older. */
enum remake_advice {
	REMAKE_DISCARD = 24,       /* MADV_DONTNEED_LOCKED: zeros, or the file, again */
	REMAKE_GUARD = 102,        /* MADV_GUARD_INSTALL: nobody can use the pages, */
	REMAKE_REMOVE_GUARD = 103, /* or all can again (Linux 6.13) */
};

/* Does this to the pages of ranges. Returns as above. */
int remake__advise(struct inject *inject, const struct intervals *ranges,
		   enum remake_advice advice);

#endif
