/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Write tracking: which pages of a process may have changed since they were armed, without reading
 * them. The process is the caller (usable inside a signal handler) or another one.
 *
 *	write_tracking__open | watch           once
 *	write_tracking__begin_round, arm       from now on, writes count
 *	write_tracking__begin, next            asks; as often as wanted
 *	write_tracking__rearm                  these pages are clean again
 *
 * Promise: a page that is armed and that next does not return holds the bytes that it held when it
 * was armed. It may return pages that have not changed. It also returns a page that was given back
 * (MADV_DONTNEED, MADV_FREE, truncation), was never used, or could not be armed. It returns the
 * pages of a mapping that is new, was moved here, or lost its registration. So the caller need not
 * know how the mappings have changed. It must know that:
 *
 *  - Only private anonymous memory is to be armed and asked about. Others write to shared memory,
 *    and to the file of a mapping, unnoticed. An armed page of a file that is given back leaves a
 *    marker in the page table. MADV_GUARD_INSTALL over such a marker never ends (seen with Linux
 *    6.18).
 *  - Where nothing is mapped now, next may return nothing.
 *  - A page that was pinned before it was armed can be written unnoticed, by a device or by the
 *    kernel. Pages are pinned for registered buffers of io_uring, for RDMA, for guests of KVM, and
 *    while a read with O_DIRECT is under way. VmPin in /proc/PID/status counts all but the last. If
 *    it is not 0 when pages are armed, or such a read may be under way, only comparing finds what
 *    has changed.
 *  - Soft-dirty bits get lost when KSM merges a page: mappings with "mg" among their VmFlags are to
 *    be compared. (That VMA merges lose the flag of a mapping before Linux 6.19 does not matter
 *    here: a page of a new mapping has a bit of its own once it is written, and counts as changed
 *    before that.)
 *  - Mappings of armed memory and of other memory do not merge: mremap(2) over both fails with
 *    EFAULT. The process cannot register armed memory with a userfaultfd of its own (EBUSY).
 *  - An armed huge page is split at its first write.
 *  - Writing to a page, to put it back too, makes it dirty: rearm it afterwards.
 */
#ifndef PAGES_WRITE_TRACKING_H
#define PAGES_WRITE_TRACKING_H

#include <stdbool.h>
#include <stdint.h>

#include "pages/pagemap.h"

enum write_tracking_way {
	WRITE_TRACKING_NONE,       /* every page may have changed: the caller compares */
	WRITE_TRACKING_SOFT_DIRTY, /* soft_dirty.h: arms the whole process */
	WRITE_TRACKING_PROTECT,    /* write_protect.h: arms ranges of addresses */
};

struct write_tracking {
	enum write_tracking_way way;
	int uffd;       /* -1: none */
	int clear_refs; /* of the other process; -1: none */
	uint64_t inode; /* of the userfaultfd */
};
#define WRITE_TRACKING_OFF                                                                         \
	{                                                                                          \
		.uffd = -1, .clear_refs = -1                                                       \
	}

/* Does a page of the caller get clean when it is armed in this way, and dirty when it is written?
 * Tried with a page of the caller. own: the caller's pagemap. */
bool write_tracking__works(enum write_tracking_way way, struct pagemap *own);

/* Sets *tracking to that way for the calling process, or to WRITE_TRACKING_NONE if it does not
 * work. own: its pagemap. */
void write_tracking__open_way(struct write_tracking *tracking, enum write_tracking_way way,
			      struct pagemap *own);

/* The same with the best way that works. */
void write_tracking__open(struct write_tracking *tracking, struct pagemap *own);

/*
 * Sets *tracking to watch another process, in a way that works (write_tracking__works).
 * uffd: a new userfaultfd of that process, for WRITE_TRACKING_PROTECT. clear_refs: its
 * /proc/PID/clear_refs, open for writing, for WRITE_TRACKING_SOFT_DIRTY. Each is -1 for other ways;
 * *tracking owns both, on failure too.
 * Returns 0; -EOPNOTSUPP if the kernel is too old; or another -errno: the way is then
 * WRITE_TRACKING_NONE.
 */
int write_tracking__watch(struct write_tracking *tracking, enum write_tracking_way way, int uffd,
			  int clear_refs);

/* Ends all protection. Does not close the userfaultfd if its number is another file's by now. The
 * way is then WRITE_TRACKING_NONE. */
void write_tracking__close(struct write_tracking *tracking);

/* Does the number of the userfaultfd belong to it, and not to a file of the program? */
bool write_tracking__has_uffd(const struct write_tracking *tracking);

/* Ends all protection, but not the way: begin_round then says -EBADF. May be called by several
 * threads. Returns whether there was any. */
bool write_tracking__let_go(struct write_tracking *tracking);

/* Begins anew: soft-dirty arms all pages of the process here. Returns 0; -EBADF if the program has
 * closed the userfaultfd; -ESRCH if the process is gone; or another -errno. */
int write_tracking__begin_round(const struct write_tracking *tracking);

/*
 * Arms the pages of [start, end), which is page-aligned, if that is done by range. Those that hold
 * data are clean from now on, all others count as changed. The range lies in one mapping, or in
 * several that are all of the right kind: one that refuses fails the call. Arming a part of a
 * mapping splits it. Returns 0 or -errno: these pages then count as changed for ever, and the
 * caller compares them.
 */
int write_tracking__arm(const struct write_tracking *tracking, const struct pagemap *pagemap,
			uint64_t start, uint64_t end);

/*
 * Makes the pages of [start, end) clean again. What arm has not registered stays as it is, and so
 * do all pages with soft-dirty bits, until the next round. A call takes about 1.4 us and looks at
 * all pages of the range (about 1.1 ms for 1 GiB). So if the process stands still, a whole range
 * costs less than a thousand single pages of it. Returns 0 or -errno: then they may count as
 * changed.
 */
int write_tracking__rearm(const struct write_tracking *tracking, const struct pagemap *pagemap,
			  uint64_t start, uint64_t end);

/* The same where several mappings lie in the range. Those that arm has not registered are left out,
 * which is no failure. */
int write_tracking__rearm_across(const struct write_tracking *tracking,
				 const struct pagemap *pagemap, uint64_t start, uint64_t end);

/* Begins to ask for the pages of [start, end), which is page-aligned, that may have changed. */
void write_tracking__begin(const struct write_tracking *tracking, struct pagemap *pagemap,
			   uint64_t start, uint64_t end);

/* The same, and for pages that have one of the categories of more, which the runs tell too. */
void write_tracking__begin_with(const struct write_tracking *tracking, struct pagemap *pagemap,
				uint64_t start, uint64_t end, uint64_t more);

/*
 * The next run of pages that may have changed, in address order; two runs may touch. Its categories
 * have PAGEMAP_PRESENT or PAGEMAP_SWAPPED if the pages hold data. If not, they were never used or
 * were given back, and are zeros.
 * Returns 1 with *ret_run; 0 at the end; -ESRCH if the process is gone; or another -errno.
 */
int write_tracking__next(const struct write_tracking *tracking, struct pagemap *pagemap,
			 struct pagemap_run *ret_run);

/* What pagemap__begin must ask for, to walk over all pages that hold data. */
uint64_t write_tracking__categories(const struct write_tracking *tracking);

/* May these pages of anonymous memory, from pagemap__next, have changed since they were armed? */
bool write_tracking__is_written(const struct write_tracking *tracking,
				const struct pagemap_run *run);

#endif
