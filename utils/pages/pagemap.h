/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which pages of the calling process hold data, and which of them were written since the last look.
 * Usable inside a signal handler: system calls and memory of the caller's alone.
 * Source: Documentation/admin-guide/mm/pagemap.rst, mm/soft-dirty.rst.
 */
#ifndef PAGES_PAGEMAP_H
#define PAGES_PAGEMAP_H

#include <stddef.h>
#include <stdint.h>

/* How writes are seen. */
enum pagemap_tracking {
	PAGEMAP_NONE,       /* not: every page counts as written */
	PAGEMAP_SOFT_DIRTY, /* bit 55 of pagemap; CONFIG_MEM_SOFT_DIRTY */
	PAGEMAP_UFFD,       /* asynchronous write protection, PAGEMAP_SCAN; Linux 6.7 */
};

struct pagemap_run {
	uint64_t start, end; /* addresses, page-aligned */
	uint64_t written;    /* since the last pagemap__protect; 1 if that is not known */
	int present;         /* 0: swapped out */
};

/* As PAGEMAP_SCAN returns it. */
struct pagemap_region {
	uint64_t start, end, categories;
};

enum { PAGEMAP_REGIONS = 512, PAGEMAP_ENTRIES = 4096 };

/* About 45 KiB: allocate it. All fields are its own. */
struct pagemap {
	int fd;
	int can_scan;
	int knows_guards; /* else guards (MADV_GUARD_INSTALL, Linux 6.13) look as if swapped out */
	enum pagemap_tracking tracking;
	uint64_t at, end; /* what is still to be looked at */
	size_t next, count;
	struct pagemap_region regions[PAGEMAP_REGIONS];
	uint64_t entries[PAGEMAP_ENTRIES];
};

/* Opens /proc/self/pagemap. p: all of it is set. Returns 0 or -errno. */
int pagemap__open(struct pagemap *p, enum pagemap_tracking tracking);
void pagemap__close(struct pagemap *p);

/* Begins a walk over [start, end). */
void pagemap__begin(struct pagemap *p, uint64_t start, uint64_t end);

/*
 * The next run of pages that are in memory or swapped out and alike; between two runs are pages
 * that were never used, or given back, and guards. Only of private anonymous memory does that mean
 * that they are zeros. Returns 1 with *ret, 0 at the end, or -errno.
 */
int pagemap__next(struct pagemap *p, struct pagemap_run *ret);

/* Write-protects all pages of [start, end), which is registered for that with a userfaultfd: they
 * count as clean until they are next written. Returns 0 or -errno. */
int pagemap__protect(struct pagemap *p, uint64_t start, uint64_t end);

#endif
