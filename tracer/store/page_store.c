/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See page_store.h. A block is as large as a huge page, so that the kernel may use one.
 */
#include "store/page_store.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "base/page.h"

enum {
	BLOCK_PAGES = 512,
	WORD_BITS = 64,
	WORDS = BLOCK_PAGES / WORD_BITS,
};
#define BLOCK_BYTES (BLOCK_PAGES * PAGE_BYTES)

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

struct page_block {
	uint8_t *bytes; /* NULL: it has no pages */
	uint32_t used;
	uint64_t free[WORDS]; /* a bit for each page */
	uint32_t references[BLOCK_PAGES];
};

static struct page_block *block_of(const struct page_store *store, uint32_t page)
{
	return store->blocks[(page - 1) / BLOCK_PAGES];
}

static int add_block(struct page_store *store)
{
	struct page_block **larger =
		reallocarray(store->blocks, store->count + 1, sizeof(struct page_block *));

	if (!larger)
		return -ENOMEM;
	store->blocks = larger;
	store->blocks[store->count] = calloc(1, sizeof(struct page_block));
	if (!store->blocks[store->count])
		return -ENOMEM;
	store->count++;
	return 0;
}

/* Gives a block without pages its memory, aligned as a huge page. */
static int fill(struct page_block *block)
{
	uint8_t *bytes = mmap(NULL, 2 * BLOCK_BYTES, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t before;

	if (bytes == MAP_FAILED)
		return -ENOMEM;
	before = -(uintptr_t)bytes & (BLOCK_BYTES - 1);
	if (before)
		(void)munmap(bytes, before);
	(void)munmap(bytes + before + BLOCK_BYTES, BLOCK_BYTES - before);
	block->bytes = bytes + before;
	for (size_t i = 0; i < WORDS; i++)
		block->free[i] = UINT64_MAX;
	return 0;
}

static void empty(struct page_block *block)
{
	(void)munmap(block->bytes, BLOCK_BYTES);
	block->bytes = NULL;
}

void page_store__reserve(struct page_store *store, uint64_t pages)
{
	for (size_t i = store->first_free; pages; i++) {
		struct page_block *block;
		uint64_t room;

		if (i == store->count && add_block(store))
			return;
		block = store->blocks[i];
		if (!block->bytes) {
			if (fill(block))
				return;
			(void)madvise(block->bytes, BLOCK_BYTES, MADV_HUGEPAGE);
			(void)madvise(block->bytes, BLOCK_BYTES, MADV_POPULATE_WRITE);
		}
		room = BLOCK_PAGES - block->used;
		pages -= room < pages ? room : pages;
	}
}

void page_store__trim(struct page_store *store)
{
	for (size_t i = 0; i < store->count; i++)
		if (store->blocks[i]->bytes && !store->blocks[i]->used)
			empty(store->blocks[i]);
}

int page_store__take(struct page_store *store, uint32_t *ret_page)
{
	struct page_block *block;
	size_t word = 0;
	uint32_t index;

	while (store->first_free < store->count &&
	       store->blocks[store->first_free]->used == BLOCK_PAGES)
		store->first_free++;
	if (store->first_free == UINT32_MAX / BLOCK_PAGES)
		return -ENOMEM;
	if (store->first_free == store->count && add_block(store))
		return -ENOMEM;
	block = store->blocks[store->first_free];
	if (!block->bytes && fill(block))
		return -ENOMEM;
	while (!block->free[word])
		word++;
	index = (uint32_t)(word * WORD_BITS) + (uint32_t)__builtin_ctzll(block->free[word]);
	block->free[word] &= block->free[word] - 1;
	block->references[index] = 1;
	block->used++;
	store->pages++;
	*ret_page = (uint32_t)store->first_free * BLOCK_PAGES + index + 1;
	return 0;
}

uint8_t *page_store__bytes(const struct page_store *store, uint32_t page)
{
	return block_of(store, page)->bytes + (page - 1) % BLOCK_PAGES * PAGE_BYTES;
}

void page_store__hold(struct page_store *store, uint32_t page)
{
	block_of(store, page)->references[(page - 1) % BLOCK_PAGES]++;
}

void page_store__drop(struct page_store *store, uint32_t page)
{
	const uint32_t index = (page - 1) % BLOCK_PAGES;
	struct page_block *block;

	if (!page)
		return;
	block = block_of(store, page);
	if (--block->references[index])
		return;
	block->free[index / WORD_BITS] |= 1ULL << index % WORD_BITS;
	store->pages--;
	if ((page - 1) / BLOCK_PAGES < store->first_free)
		store->first_free = (page - 1) / BLOCK_PAGES;
	if (--block->used)
		return;
	empty(block);
}

uint32_t page_store__references(const struct page_store *store, uint32_t page)
{
	return block_of(store, page)->references[(page - 1) % BLOCK_PAGES];
}

void page_store__clear(struct page_store *store)
{
	for (size_t i = 0; i < store->count; i++) {
		if (store->blocks[i]->bytes)
			(void)munmap(store->blocks[i]->bytes, BLOCK_BYTES);
		free(store->blocks[i]);
	}
	free(store->blocks);
	*store = (struct page_store){0};
}
