/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See snapshot_pages.h. Chunks come in address order, slabs as the table has them: the
 * list is sorted when all are there.
 */
#include "report/snapshot_pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct page *add_page(struct snapshot_pages *pages, uint64_t address)
{
	struct page *page;

	if (pages->count == pages->room && !pages->err) {
		size_t room = pages->room ? 2 * pages->room : 1024;
		struct page *larger = realloc(pages->items, room * sizeof(*larger));

		if (larger) {
			pages->items = larger;
			pages->room = room;
		}
	}
	if (!pages->items || pages->count == pages->room) {
		pages->err = -ENOMEM;
		return NULL;
	}
	page = &pages->items[pages->count++];
	*page = (struct page){.address = address};
	return page;
}

/* The page of a chunk: the last, for chunks come in address order. */
static struct page *page_of_chunk(struct snapshot_pages *pages, uint64_t address)
{
	struct page *page = pages->count ? &pages->items[pages->count - 1] : NULL;

	if (page && page->address == page__start(address))
		return page;
	page = add_page(pages, page__start(address));
	if (!page)
		return NULL;
	page->owned = calloc(1, PAGE_BYTES);
	if (!page->owned)
		pages->err = -ENOMEM;
	return page->owned ? page : NULL;
}

static void take_chunk(uint64_t address, const struct chunk *chunk, void *argument)
{
	struct page *page;

	if (chunk->state == CHUNK_ABSENT)
		return;
	page = page_of_chunk(argument, address);
	if (!page)
		return;
	if (chunk->state == CHUNK_PRESENT)
		memcpy(page->owned + address % PAGE_BYTES + chunk->first,
		       chunk->bytes + chunk->first, CHUNK_BYTES - chunk->first);
	else /* unreadable, or mapped since the checkpoint */
		page->kind = PAGE_LOST;
}

static void take_slab(const struct slab *slab, const uint8_t *bytes, void *argument)
{
	struct page *page;

	if (slab->state == SLAB_ZERO)
		return;
	page = add_page(argument, slab->address);
	if (!page)
		return;
	page->slab = slab;
	page->kind = bytes ? PAGE_DATA : PAGE_LOST;
}

static int compare_pages(const void *a, const void *b)
{
	const struct page *one = a, *two = b;

	return one->address < two->address ? -1 : one->address > two->address;
}

static struct page *find_page(const struct snapshot_pages *pages, uint64_t address)
{
	struct page wanted = {.address = address};

	if (!pages->count)
		return NULL;
	return bsearch(&wanted, pages->items, pages->count, sizeof(wanted), compare_pages);
}

/* Puts what is before a bss into its page. The page may hold zeros alone, and not be there yet. */
static void take_heads(const struct page_head *heads, size_t head_count,
		       struct snapshot_pages *pages)
{
	struct snapshot_pages chunks = {.count = pages->count};

	for (size_t i = 0; i < head_count && !pages->err; i++) {
		const struct page_head *head = &heads[i];
		struct page *page;

		chunks.items = pages->items;
		page = find_page(&chunks, head->address);
		if (!page) {
			page = add_page(pages, head->address);
			if (!page)
				return;
			page->owned = calloc(1, PAGE_BYTES);
			if (!page->owned) {
				pages->err = -ENOMEM;
				return;
			}
		}
		for (size_t at = 0; page->owned && at < PAGE_BYTES; at++)
			page->owned[at] |=
				head->bytes[at]; /* where the one is, the other is zero */
	}
}

int snapshot_pages__collect(struct snapshot_pages *pages, struct target *target,
			    const struct page_head *heads, size_t head_count)
{
	int err = chunk_snapshot__for_each(target->snapshot, &target->tracked, take_chunk, pages);

	if (!err)
		take_heads(heads, head_count, pages);
	if (!err)
		slab_store__for_each(target->slabs, take_slab, pages);
	if (!err)
		err = pages->err;
	if (!err && pages->count)
		qsort(pages->items, pages->count, sizeof(*pages->items), compare_pages);
	return err;
}

void snapshot_pages__free(struct snapshot_pages *pages)
{
	for (size_t i = 0; i < pages->count; i++)
		free(pages->items[i].owned);
	free(pages->items);
}
