/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The snapshot as a list of pages in address order. Pages stay where their engine keeps them;
 * chunks are joined to pages here.
 */
#ifndef TRACER_REPORT_SNAPSHOT_PAGES_H
#define TRACER_REPORT_SNAPSHOT_PAGES_H

#include <stddef.h>
#include <stdint.h>

#include "image/image.h"
#include "engine/snapshot.h"

enum page_kind {
	PAGE_KEPT,  /* the snapshot has it whole */
	PAGE_OWNED, /* joined here */
	PAGE_LOST,  /* nobody knows what was in it */
};

struct page {
	uint64_t address;
	uint8_t *owned; /* the bytes of a page that is joined here, else NULL */
	enum page_kind kind;
};

/* What is before a range that begins inside a page. */
struct page_head {
	uint64_t address; /* of the page */
	uint8_t bytes[PAGE_BYTES];
};

struct snapshot_pages {
	struct page *items; /* in address order */
	size_t count, room;
	int err; /* while they are collected */
};

/*
 * Collects the pages of the snapshot. Pages of zeros of slabs are left out.
 * pages: all zeros before. heads: head_count of them, in address order; each is put into its page.
 * Returns 0; -ENOMEM; or as snapshot__visit does. snapshot_pages__free in any case.
 */
int snapshot_pages__collect(struct snapshot_pages *pages, struct snapshot *snapshot,
			    const struct page_head *heads, size_t head_count);

/* Harmless on one that is all zeros. */
void snapshot_pages__free(struct snapshot_pages *pages);

#endif
