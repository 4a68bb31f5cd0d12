/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Saved pages, by number, each with a count of references:
 *
 *	block 0: |page 1|page 2|  free |...      block 1: |  free |page 514|...
 *
 * Number 0 is no page. A block without pages takes no memory unless it is reserved. A page
 * takes 4,101 bytes. Dropped pages take memory until their block is empty.
 */
#ifndef TRACER_STORE_PAGE_STORE_H
#define TRACER_STORE_PAGE_STORE_H

#include <stddef.h>
#include <stdint.h>

struct page_block;

struct page_store { /* zero-initialised: empty */
	struct page_block **blocks;
	size_t count;
	size_t first_free; /* no block before it has room */
	uint64_t pages;    /* in use */
};

/* Gets memory for that many pages, or for fewer if there is not enough. To take and to write them
 * then costs no page fault. page_store__trim() gives back what was not taken. */
void page_store__reserve(struct page_store *store, uint64_t pages);
void page_store__trim(struct page_store *store);

/* Takes a page, whose bytes are undefined, and refers to it. Pages that are taken one after the
 * other mostly lie one after the other. Returns 0 and *ret_page, or -ENOMEM. */
int page_store__take(struct page_store *store, uint32_t *ret_page);

/* The bytes of a page. They may be written by the one who has taken it. */
uint8_t *page_store__bytes(const struct page_store *store, uint32_t page);

/* Refers to a page once more. */
void page_store__hold(struct page_store *store, uint32_t page);

/* Refers to a page once less; the last one frees it. Harmless for 0. */
void page_store__drop(struct page_store *store, uint32_t page);

/* How many refer to it. */
uint32_t page_store__references(const struct page_store *store, uint32_t page);

/* Frees all pages; harmless on an empty store. */
void page_store__clear(struct page_store *store);

#endif
