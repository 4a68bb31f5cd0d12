/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which pages have changed since the last image, for CKPT_INCREMENTAL. Of private anonymous memory
 * the kernel tells, where it can: by soft-dirty bits, or by asynchronous write protection
 * (userfaultfd) with PAGEMAP_SCAN. Of everything else, and where it cannot, checksums of 64 bits
 * are kept for each page and compared.
 */
#ifndef LIBCKPT_DIRTY_H
#define LIBCKPT_DIRTY_H

#include "libckpt/page_writer.h"
#include "image/image.h"
#include "pages/pagemap.h"

/* Checksums of the pages of a mapping. */
struct dirty_entry {
	uint64_t start, end;
	uint64_t first; /* index of the first page's checksum */
};

/* One block of memory of its own: entries, then checksums. */
struct dirty_table {
	unsigned char *base; /* NULL: none */
	size_t bytes;
	struct dirty_entry *entries;
	uint64_t *sums; /* 0: not known */
	size_t count;
};

struct dirty {
	enum pagemap_tracking tracking;
	pid_t owner;              /* for whom tracking was chosen; 0: nobody */
	int uffd;                 /* -1: none */
	struct dirty_table old;   /* of the last image */
	struct dirty_table young; /* of the one being written */
};

/* Chooses how writes are seen, at the first call, and at the first one in a forked child, of whose
 * memory the parent's userfaultfd knows nothing. */
void dirty__open(struct dirty *dirty);

/* Lets go of everything: in a process that was brought back, of which the kernel knows nothing. */
void dirty__forget(struct dirty *dirty);

/* Makes the table of checksums for the image that is being planned. Returns 0 or -ENOMEM. */
int dirty__begin(struct dirty *dirty, const struct image *image);

/*
 * Notes the checksums of all pages that need them, for a full image whose segments are planned.
 * Returns 0 or -errno.
 */
int dirty__note(struct dirty *dirty, struct page_writer *pages, const struct image *image);

/*
 * Plans an increment: segments for what has changed since the last image, runs of unchanged for the
 * rest. Returns 0; -EFBIG if there are too many; or -errno. A full image can be planned instead.
 */
int dirty__plan(struct dirty *dirty, struct page_writer *pages, struct image *image);

/* The image is written: from now on, writes count as changes to it. */
void dirty__commit(struct dirty *dirty, const struct image *image);
/* The image is not written: the last one stays the one to compare with. */
void dirty__abort(struct dirty *dirty);

/* The two ranges that it has mapped itself; the count. */
size_t dirty__own(const struct dirty *dirty, struct image_run own[2]);

#endif
