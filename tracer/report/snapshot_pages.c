/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See snapshot_pages.h. Each engine shows what it has in address order, one engine after the other.
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
	*page = (struct page){.address = address, .kind = PAGE_KEPT};
	return page;
}

static struct page *add_owned(struct snapshot_pages *pages, uint64_t address)
{
	struct page *page = add_page(pages, address);

	if (!page)
		return NULL;
	page->kind = PAGE_OWNED;
	page->owned = calloc(1, PAGE_BYTES);
	if (!page->owned)
		pages->err = -ENOMEM;
	return page->owned ? page : NULL;
}

/* The page of a chunk: the last, for chunks come in address order. */
static struct page *page_of_chunk(struct snapshot_pages *pages, uint64_t address)
{
	struct page *page = pages->count ? &pages->items[pages->count - 1] : NULL;

	if (page && page->address == page__start(address))
		return page;
	return add_owned(pages, page__start(address));
}

static void take_saved(const struct saved *saved, void *argument)
{
	struct snapshot_pages *pages = argument;
	struct page *page;

	if (saved->state == SAVED_ZERO)
		return;
	page = saved->kind == SAVED_PAGE ? add_page(pages, saved->address)
					 : page_of_chunk(pages, saved->address);
	if (!page)
		return;
	if (saved->state != SAVED_PRESENT) /* unreadable, or mapped since the checkpoint */
		page->kind = PAGE_LOST;
	else if (page->owned)
		memcpy(page->owned + saved->address % PAGE_BYTES + saved->first,
		       saved->bytes + saved->first, saved->length - saved->first);
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

/* Puts what is before a bss into its page. A page of zeros is not in the list: it
 * is added behind the others, which alone are in order and searched. */
static int take_heads(const struct page_head *heads, size_t head_count,
		      struct snapshot_pages *pages)
{
	struct snapshot_pages collected = *pages;

	for (size_t i = 0; i < head_count; i++) {
		const struct page_head *head = &heads[i];
		struct page *page;

		collected.items = pages->items;
		page = find_page(&collected, head->address);
		if (!page) {
			page = add_owned(pages, head->address);
			if (!page)
				return -ENOMEM;
		}
		for (size_t at = 0; page->owned && at < PAGE_BYTES; at++)
			page->owned[at] |= head->bytes[at]; /* one of the two is zero */
	}
	return 0;
}

static void sort(struct snapshot_pages *pages)
{
	if (pages->count)
		qsort(pages->items, pages->count, sizeof(*pages->items), compare_pages);
}

int snapshot_pages__collect(struct snapshot_pages *pages, struct snapshot *snapshot,
			    const struct page_head *heads, size_t head_count)
{
	int err = snapshot__visit(snapshot, take_saved, pages);

	if (!err)
		err = pages->err;
	if (err)
		return err;
	sort(pages);
	err = take_heads(heads, head_count, pages);
	sort(pages);
	return err;
}

void snapshot_pages__free(struct snapshot_pages *pages)
{
	for (size_t i = 0; i < pages->count; i++)
		free(pages->items[i].owned);
	free(pages->items);
}
