/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which pages of a process hold data, and what else the kernel knows about them: /proc/PID/pagemap.
 * PAGEMAP_SCAN (Linux 6.7) skips what is not there; an older kernel is asked page by page. Usable
 * inside a signal handler and without the C library: no memory but the caller's, and only system
 * calls.
 * Source: Documentation/admin-guide/mm/pagemap.rst.
 */
#ifndef PAGES_PAGEMAP_H
#define PAGES_PAGEMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is known about a page. The numbers are those of PAGEMAP_SCAN. */
enum pagemap_category {
	PAGEMAP_TRACKED = 1 << 0,    /* write_protect.h has registered its mapping; scan only */
	PAGEMAP_WRITTEN = 1 << 1,    /* since pagemap__protect; scan only */
	PAGEMAP_FILE = 1 << 2,       /* of a file, or of shared memory; slow to ask for */
	PAGEMAP_PRESENT = 1 << 3,    /* in memory */
	PAGEMAP_SWAPPED = 1 << 4,    /* in swap */
	PAGEMAP_ZERO = 1 << 5,       /* it is the kernel's page of zeros; scan only */
	PAGEMAP_HUGE = 1 << 6,       /* mapped as a huge page; scan only */
	PAGEMAP_SOFT_DIRTY = 1 << 7, /* written since soft_dirty__clear; entries only */
	PAGEMAP_GUARD = 1 << 8,      /* MADV_GUARD_INSTALL; only where the kernel knows_guards */
	PAGEMAP_OWN = 1 << 16,       /* no other process has it, nor is it the page of zeros;
				      * entries only, and not a number of PAGEMAP_SCAN */
};

/* Pages that are alike, as PAGEMAP_SCAN returns them. */
struct pagemap_run {
	uint64_t start, end; /* addresses, page-aligned */
	uint64_t categories; /* enum pagemap_category */
};

enum { PAGEMAP_RUNS = 512, PAGEMAP_ENTRIES = 4096 };

/* About 45 KiB, too much for the stack of a handler. */
struct pagemap {
	int fd;        /* of /proc/PID/pagemap; borrowed */
	bool can_scan; /* does the kernel have PAGEMAP_SCAN? */
	/* Does it know guards (MADV_GUARD_INSTALL, Linux 6.13)? If not, they look swapped out. */
	bool knows_guards;
	/* ---- the walk ---- */
	uint64_t categories, inverted, any_of;
	/* The caller may set these two after each begin. */
	uint64_t required; /* categories that a page must have; only a scan heeds them */
	size_t room;       /* runs that the kernel is asked for at once; few are faster */
	uint64_t at, end;  /* what has not been looked at yet */
	size_t next, count;
	struct pagemap_run runs[PAGEMAP_RUNS];
	uint64_t entries[PAGEMAP_ENTRIES];
};

/* Sets all of *pagemap, and tries what the kernel can do. fd: /proc/PID/pagemap of any process. */
void pagemap__init(struct pagemap *pagemap, int fd);

/*
 * Begins a walk over the pages of [start, end), which are page-aligned, that hold data: that are in
 * memory or in swap. categories: what the caller wants to know beside that.
 */
void pagemap__begin(struct pagemap *pagemap, uint64_t start, uint64_t end, uint64_t categories);

/*
 * Begins a walk over the pages that have one of the categories any_of. A category that is in
 * inverted, too, counts if the page lacks it. any_of 0: all pages. Where nothing is mapped, there
 * may be no pages.
 */
void pagemap__begin_any(struct pagemap *pagemap, uint64_t start, uint64_t end, uint64_t inverted,
			uint64_t any_of, uint64_t categories);

/*
 * Begins a walk over the pages of [start, end) that were written since pagemap__protect, or are not
 * there: the runs do not tell which. Where a whole page table is missing, that of 2 MiB, nothing is
 * returned. Needs a scan. Takes 40 % of the time of other walks: 1.0 us for 4 MiB.
 */
void pagemap__begin_written(struct pagemap *pagemap, uint64_t start, uint64_t end);

/*
 * The next run of pages of the walk that are alike in PRESENT, SWAPPED and the categories of the
 * walk. Two runs may touch. In a walk by pagemap__begin, pages between two runs were never used,
 * were given back, or are guards. In private anonymous memory they are zeros. Returns 1 with
 * *ret_run; 0 at the end; -ESRCH when the process is gone, which a scan does not always notice
 * (pagemap__check does); -EFAULT for addresses that no process has; or another -errno.
 */
int pagemap__next(struct pagemap *pagemap, struct pagemap_run *ret_run);

/* Returns 0, or -ESRCH when the process, or the address space that it had, is gone. */
int pagemap__check(const struct pagemap *pagemap);

/*
 * Write-protects the pages of [start, end) that hold data and are written: they are clean until the
 * next write. Pages without data are left alone: protected, they would take page tables, and look
 * swapped out. Returns 0; -EPERM if write_protect.h has not registered all of it; or another
 * -errno.
 */
int pagemap__protect(const struct pagemap *pagemap, uint64_t start, uint64_t end);

/* The same, but leaves out what write_protect.h has not registered. */
int pagemap__protect_registered(const struct pagemap *pagemap, uint64_t start, uint64_t end);

/* The same where all pages hold data. It is faster: 1.1 us for a page, 1.7 us for 256 pages. */
int pagemap__protect_all(const struct pagemap *pagemap, uint64_t start, uint64_t end);

/* Does a page of [start, end) hold data and look clean? True as well if the kernel does not say.
 * Takes 2.8 ms for 1 GiB. */
bool pagemap__has_clean(const struct pagemap *pagemap, uint64_t start, uint64_t end);

#endif
