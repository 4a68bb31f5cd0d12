/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Write tracking: which pages of the calling process were written since they were armed, without
 * reading them. Usable inside a signal handler.
 *
 *	write_tracking__open                once
 *	write_tracking__begin_round, arm    from now on, writes count
 *	pagemap__begin with write_tracking__categories, pagemap__next, write_tracking__is_written
 *
 * A page that is not there any more (it was given back, or never used) may look clean, so only runs
 * of pagemap__next are to be asked about.
 */
#ifndef PAGES_WRITE_TRACKING_H
#define PAGES_WRITE_TRACKING_H

#include <stdbool.h>
#include <stdint.h>

#include "pages/pagemap.h"

enum write_tracking_way {
	WRITE_TRACKING_NONE,       /* every page counts as written */
	WRITE_TRACKING_SOFT_DIRTY, /* soft_dirty.h: arms the whole process */
	WRITE_TRACKING_PROTECT,    /* write_protect.h: arms ranges of addresses */
};

struct write_tracking {
	enum write_tracking_way way;
	int uffd;       /* -1: none */
	uint64_t inode; /* of the userfaultfd */
};

/*
 * Sets *tracking to the best way that works: each is tried with a page that is armed and written.
 * pagemap: of the calling process.
 */
void write_tracking__open(struct write_tracking *tracking, struct pagemap *pagemap);

/* Ends all protection. The number of the userfaultfd may be another file's by now, which stays
 * open. The way is then WRITE_TRACKING_NONE. */
void write_tracking__close(struct write_tracking *tracking);

/* Does the number of the userfaultfd belong to it, and not to a file of the program? */
bool write_tracking__has_uffd(const struct write_tracking *tracking);

/* Ends all protection, but not the way: begin_round then says -EBADF. May be called by several
 * threads. Returns whether there was any. */
bool write_tracking__let_go(struct write_tracking *tracking);

/* Begins anew: soft-dirty arms all pages here. Returns 0; -EBADF if the program has closed the
 * userfaultfd; or another -errno. */
int write_tracking__begin_round(const struct write_tracking *tracking);

/* Arms the pages of [start, end) if that is done by range. Returns 0 or -errno: then these pages
 * count as written for ever. */
int write_tracking__arm(const struct write_tracking *tracking, const struct pagemap *pagemap,
			uint64_t start, uint64_t end);

/* What pagemap__begin must ask for. */
uint64_t write_tracking__categories(const struct write_tracking *tracking);

/* Were these pages written since they were armed? True also if that is not known. */
bool write_tracking__is_written(const struct write_tracking *tracking,
				const struct pagemap_run *run);

#endif
