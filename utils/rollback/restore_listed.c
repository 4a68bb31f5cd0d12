/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See restore_listed.h. Hot pages are not armed, so they are never listed: they have a list of
 * their own.
 */
#include "rollback/restore_listed.h"

#include "rollback/restore_pages.h"
#include "rollback/zones.h"

/* One fault may fill a whole huge page. Pages of it that held no data can then be written without
 * another fault. */
#define REACH (2ULL << 20)

/* The first zone that ends behind an address, from z on. */
static struct zone *find_zone(const struct rollback *r, struct zone *z, uint64_t address)
{
	const struct zone *end = r->zones + r->zone_count;

	while (z < end && z->end <= address)
		z++;
	return z;
}

static bool is_in(const struct range *range, uint64_t address)
{
	return range->start <= address && address < range->end;
}

bool restore_listed__has_stranger(const struct rollback *r)
{
	const struct zone *end = r->zones + r->zone_count;
	struct zone *z = r->zones;

	for (size_t i = 0; i < r->listed_count; i++) {
		const uint64_t at = page__start(r->listed[i]);
		const struct rollback *own = r;

		while (own && !is_in(&own->own, at))
			own = own->outer;
		z = find_zone(r, z, at);
		if (!own && (z == end || at < z->start))
			return true;
	}
	return false;
}

/* Asks for the pages of [start, end), in all zones from z on. */
static int restore_block(struct rollback *r, struct zone *z, uint64_t start, uint64_t end)
{
	const struct write_tracking *t = &r->files->tracking;
	struct pagemap *p = &r->files->pagemap;
	struct pagemap_run run;
	int more = 0;

	for (; z < r->zones + r->zone_count && z->start < end && more == 0; z++) {
		if (!z->listed)
			continue;
		write_tracking__begin_with(t, p, z->start > start ? z->start : start,
					   z->end < end ? z->end : end,
					   restore_pages__more_categories(r, z));
		while ((more = pagemap__next(p, &run)) > 0)
			restore_pages__restore_run(r, z, &run, false);
		restore_pages__flush(r, z);
	}
	return more;
}

static int restore_pages_of_list(struct rollback *r)
{
	struct zone *const end = r->zones + r->zone_count, *z = r->zones;
	uint64_t done = 0; /* all before it is put back */
	int err = 0;

	for (size_t i = 0; i < r->listed_count && !err; i++) {
		const uint64_t at = page__start(r->listed[i]);
		struct zone *const next = find_zone(r, z, at);

		if (next > z)
			restore_pages__flush(r, z);
		z = next;
		if (z == end)
			break;
		if (at < z->start || at < done || !z->listed)
			continue;
		if ((zone__page(z, at)->kind & PAGE_KIND) == PAGE_STORED) {
			done = at + PAGE_BYTES;
			if (zone__page(z, at)->heat < PAGE_HOT &&
			    !restore_pages__put_back(r, z, at, r->listed[i] != at))
				restore_pages__rearm(r, z, at, done);
		} else {
			const uint64_t block = at & ~(REACH - 1);

			restore_pages__flush(r, z);
			done = block + REACH;
			err = restore_block(r, find_zone(r, r->zones, block), block, done);
		}
	}
	if (z < end)
		restore_pages__flush(r, z);
	return err;
}

/* Puts back hot pages. count: those that were hot before this round; newer ones are put back
 * already. */
static void restore_hot(struct rollback *r, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->hot_count; i++) {
		const struct hot_page hot = r->hot[i];
		struct zone *z = &r->zones[hot.zone];
		struct page *page = zone__page(z, hot.address);

		if (i < count && z->listed && page->heat >= PAGE_HOT) {
			if ((page->kind & PAGE_KIND) == PAGE_ABSENT) {
				restore_pages__empty(r, z, page, hot.address);
			} else if (!restore_pages__put_back(r, z, hot.address, false)) {
				restore_pages__rearm(r, z, hot.address, hot.address + PAGE_BYTES);
				restore_pages__flush(r, z);
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
