/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A checksum of 64 bits for each page of some mappings, in one block of memory. It has ranges in
 * address order, then the checksums. Usable inside a signal handler.
 */
#ifndef LIBCKPT_PAGE_SUMS_H
#define LIBCKPT_PAGE_SUMS_H

#include <stddef.h>
#include <stdint.h>

struct page_sums_range {
	uint64_t start, end;
	uint64_t first; /* index of the first page's checksum */
};

struct page_sums {
	unsigned char *base; /* NULL: none */
	size_t bytes;
	struct page_sums_range *ranges;
	uint64_t *sums; /* 0: not known */
	size_t count;   /* of ranges */
};

/* Makes a table for count ranges with so many pages in all; it is empty. *ret_table is untouched on
 * failure, which is -ENOMEM. */
int page_sums__make(size_t count, uint64_t pages, struct page_sums *ret_table);

/* Adds a range behind all others. */
void page_sums__add(struct page_sums *table, uint64_t start, uint64_t end);

/* The place of the checksum of the page at address, or NULL if it is in no range. */
uint64_t *page_sums__find(const struct page_sums *table, uint64_t address);

/* The checksum of a page, which is aligned to 8 bytes; never 0. */
uint64_t page_sums__sum(const void *page);

/* Frees and empties the table; harmless twice. */
void page_sums__free(struct page_sums *table);

#endif
