/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See restore_listed.h. Hot pages are not armed, so they are never listed: they have a list of
 * their own.
 */
#include "rollback/restore_listed.h"

#include "rollback/regions.h"
#include "rollback/restore_pages.h"

/* One fault may fill a whole huge page. Pages of it that held no data can then be written without
 * another fault. */
#define REACH (2ULL << 20)

/* The first region that ends behind an address, from g on. */
static struct region *find_region(const struct rollback *r, struct region *g, uint64_t address)
{
	const struct region *end = r->regions + r->region_count;

	while (g < end && g->end <= address)
		g++;
	return g;
}

static bool is_in(const struct range *range, uint64_t address)
{
	return range->start <= address && address < range->end;
}

bool restore_listed__has_stranger(const struct rollback *r)
{
	const struct region *end = r->regions + r->region_count;
	struct region *g = r->regions;

	for (size_t i = 0; i < r->listed_count; i++) {
		const uint64_t at = page__start(r->listed[i]);
		const struct rollback *own = r;

		while (own && !is_in(&own->own, at))
			own = own->outer;
		g = find_region(r, g, at);
		if (!own && (g == end || at < g->start))
			return true;
	}
	return false;
}

/* Asks for the pages of [start, end), in all regions from g on. */
static int restore_block(struct rollback *r, struct region *g, uint64_t start, uint64_t end)
{
	const struct write_tracking *t = &r->files->tracking;
	struct pagemap *p = &r->files->pagemap;
	struct pagemap_run run;
	int more = 0;

	for (; g < r->regions + r->region_count && g->start < end && more == 0; g++) {
		if (!g->listed)
			continue;
		write_tracking__begin_with(t, p, g->start > start ? g->start : start,
					   g->end < end ? g->end : end,
					   restore_pages__more_categories(r, g));
		while ((more = pagemap__next(p, &run)) > 0)
			restore_pages__restore_run(r, g, &run, false);
		restore_pages__flush(r, g);
	}
	return more;
}

static int restore_pages_of_list(struct rollback *r)
{
	struct region *const end = r->regions + r->region_count, *g = r->regions;
	uint64_t done = 0; /* all before it is put back */
	int err = 0;

	for (size_t i = 0; i < r->listed_count && !err; i++) {
		const uint64_t at = page__start(r->listed[i]);
		struct region *const next = find_region(r, g, at);

		if (next > g)
			restore_pages__flush(r, g);
		g = next;
		if (g == end)
			break;
		if (at < g->start || at < done || !g->listed)
			continue;
		if ((region__page(g, at)->kind & PAGE_KIND) == PAGE_STORED) {
			done = at + PAGE_BYTES;
			if (region__page(g, at)->heat < PAGE_HOT &&
			    !restore_pages__put_back(r, g, at, r->listed[i] != at))
				restore_pages__rearm(r, g, at, done);
		} else {
			const uint64_t block = at & ~(REACH - 1);

			restore_pages__flush(r, g);
			done = block + REACH;
			err = restore_block(r, find_region(r, r->regions, block), block, done);
		}
	}
	if (g < end)
		restore_pages__flush(r, g);
	return err;
}

/* Puts back hot pages. count: those that were hot before this round; newer ones are put back
 * already. */
static void restore_hot(struct rollback *r, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->hot_count; i++) {
		const struct hot_page hot = r->hot[i];
		struct region *g = &r->regions[hot.region];
		struct page *page = region__page(g, hot.address);

		if (i < count && g->listed && page->heat >= PAGE_HOT) {
			if ((page->kind & PAGE_KIND) == PAGE_ABSENT) {
				restore_pages__empty(r, g, page, hot.address);
			} else if (!restore_pages__put_back(r, g, hot.address, false)) {
				restore_pages__rearm(r, g, hot.address, hot.address + PAGE_BYTES);
				restore_pages__flush(r, g);
			}
		}
		if (page->heat >= PAGE_HOT)
			r->hot[kept++] = hot;
		else
			page->kind &= (uint8_t)~PAGE_IN_HOT;
	}
	r->hot_count = kept;
}

int restore_listed(struct rollback *r)
{
	const size_t hot = r->hot_count;
	int err = restore_pages_of_list(r);

	if (!err)
		restore_hot(r, hot);
	return err;
}
