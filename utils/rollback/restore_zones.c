/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See restore_zones.h.
 *
 * All pages of a dense zone are stored. So a page that is gone is put back as one that was written,
 * and the walk of pagemap__begin_written finds both. But it returns nothing where a page table is
 * gone. So one page of each table, its sentinel, is never armed: each walk must return it.
 */
#include "rollback/restore_zones.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/raw_syscall.h"
#include "rollback/bytes.h"
#include "rollback/restore_listed.h"
#include "rollback/restore_pages.h"
#include "rollback/restore_whole.h"
#include "rollback/zones.h"

enum {
	SCAN_RUNS = 64,        /* asked for at once; the kernel allocates memory for them */
	TOGETHER_PAGES = 4096, /* at most, of zones that are asked for at once */
	FEW_PAGES = 64,        /* to return all of them costs less than another call */
};

/* Looks at all pages. */
static int restore_all(struct rollback *r, struct zone *z)
{
	struct pagemap *p = &r->files->pagemap;
	struct pagemap_run run;
	int more;

	pagemap__begin_any(p, z->start, z->end, 0, 0,
			   restore_pages__more_categories(r, z) |
				   write_tracking__categories(&r->files->tracking));
	z->written = z->faults = 0;
	while ((more = pagemap__next(p, &run)) > 0)
		restore_pages__restore_run(r, z, &run, true);
	restore_pages__flush(r, z);
	z->changed = more < 0;
	if (!z->changed)
		zones__arm_range(r, z, z->start, z->end);
	z->lost = false;
	return more;
}

/* A page table is gone, with its pages. */
static void restore_table(struct rollback *r, struct zone *z, uint64_t sentinel)
{
	uint64_t end = zone__next_sentinel(sentinel);

	if (end > z->end)
		end = z->end;
	for (uint64_t at = sentinel; at < end; at += PAGE_BYTES)
		(void)restore_pages__put_back(r, z, at, false);
	zones__arm_range(r, z, sentinel, end);
}

static int restore_dense(struct rollback *r, struct zone *z)
{
	struct pagemap *p = &r->files->pagemap;
	uint64_t sentinel = z->start;
	struct pagemap_run run;
	int more;

	pagemap__begin_written(p, z->start, z->end);
	p->room = SCAN_RUNS;
	z->written = z->faults = 0;
	while ((more = pagemap__next(p, &run)) > 0) {
		for (; sentinel < run.start; sentinel = zone__next_sentinel(sentinel))
			restore_table(r, z, sentinel);
		while (sentinel < run.end)
			sentinel = zone__next_sentinel(sentinel);
		restore_pages__restore_data(r, z, &run, false);
	}
	for (; more == 0 && sentinel < z->end; sentinel = zone__next_sentinel(sentinel))
		restore_table(r, z, sentinel);
	restore_pages__flush(r, z);
	return more;
}

/* Most of its pages were never used. To ask for the pages that are there is faster then than to ask
 * for those that are gone. */
static bool is_sparse(const struct zone *z)
{
	return zone__page_count(z) > 2 * z->stored && !z->has_guards;
}

/* Would a walk miss stored pages if another mapping had taken its place? */
static bool is_witness(const struct zone *z)
{
	return z->stored > 0 && !z->has_guards &&
	       (zone__page_count(z) <= FEW_PAGES || is_sparse(z));
}

/* Zones that are asked for at once. */
struct group {
	struct zone *first, *end;
	bool spans;   /* other mappings lie between them */
	bool present; /* asks for all pages that are there */
};

/*
 * The zones that are asked for together with first. Other mappings may lie between them if the
 * kernel is told to pass over what is not tracked. But then it also passes over a new mapping in
 * the place of a zone. Either the caller has promised that there is none. Or the list of mappings
 * is as before: then a new mapping has replaced a whole zone, whose stored pages are all missing.
 */
static struct group find_group(const struct rollback *r, struct zone *first)
{
	const struct zone *all_end = &r->zones[r->zone_count];
	const bool protects = r->files->tracking.way == WRITE_TRACKING_PROTECT;
	const bool fixed = protects && (r->flags & ROLLBACK_FIXED_MAPPINGS);
	const bool witnesses = protects && r->same_mappings && is_witness(first);
	struct group group = {first, first + 1, false, protects && is_sparse(first)};
	uint64_t pages = zone__page_count(first);

	group.present |= witnesses;
	for (struct zone *next = first + 1; next < all_end; next++) {
		pages += zone__page_count(next);
		if (zone__is_dense(r, next) || pages > TOGETHER_PAGES)
			break;
		if (!fixed && next->done)
			break;
		if (!fixed && (witnesses ? !is_witness(next) : next->start != next[-1].end))
			break;
		if (next->done)
			continue;
		group.end = next + 1;
		group.present &= witnesses || is_sparse(next);
	}
	group.spans = (fixed || witnesses) && group.end - first > 1;
	return group;
}

static void begin_group(const struct rollback *r, const struct group *group)
{
	struct pagemap *p = &r->files->pagemap;
	uint64_t more = 0;

	for (const struct zone *z = group->first; z < group->end; z++)
		if (!z->done)
			more |= restore_pages__more_categories(r, z);
	write_tracking__begin_with(&r->files->tracking, p, group->first->start, group->end[-1].end,
				   more);
	p->room = SCAN_RUNS;
	if (group->present) {
		/* Pages that were never used count as written. */
		p->inverted &= ~(uint64_t)PAGEMAP_PRESENT;
		p->any_of &= ~(uint64_t)PAGEMAP_WRITTEN;
		p->any_of |= ZONE_DATA;
	}
	if (group->spans) {
		p->required = PAGEMAP_TRACKED;
		p->inverted &= ~(uint64_t)PAGEMAP_TRACKED;
		p->any_of &= ~(uint64_t)PAGEMAP_TRACKED;
	}
}

/* The walk has not returned [start, end): if pages were stored there, they are missing. */
static void note_gap(const struct rollback *r, const struct group *group, struct zone *z,
		     uint64_t start, uint64_t end)
{
	if (group->present && !z->done && start < end)
		z->changed |= restore_pages__has_stored(r, start, end);
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* All of a zone has been looked at up to an address. */
static void end_zone(struct rollback *r, const struct group *group, struct zone *z,
		     uint64_t address)
{
	note_gap(r, group, z, later(address, z->start), z->end);
	restore_pages__flush(r, z);
}

/* Asks for the pages of a group. */
static int walk_group(struct rollback *r, const struct group *group)
{
	struct pagemap *p = &r->files->pagemap;
	struct zone *z = group->first;
	uint64_t at = z->start; /* what lies before has been looked at */
	struct pagemap_run run;
	int more;

	begin_group(r, group);
	while ((more = pagemap__next(p, &run)) > 0) {
		while (run.start < run.end) {
			struct pagemap_run part = run;

			for (; z < group->end && z->end <= run.start; z++)
				end_zone(r, group, z, at);
			if (z == group->end || z->start >= run.end)
				break;
			part.start = later(part.start, z->start);
			if (part.end > z->end)
				part.end = z->end;
			note_gap(r, group, z, later(at, z->start), part.start);
			if (!z->done)
				restore_pages__restore_run(r, z, &part, false);
			run.start = at = part.end;
		}
	}
	if (more < 0 && z < group->end)
		restore_pages__flush(r, z);
	for (; more == 0 && z < group->end; z++)
		end_zone(r, group, z, at);
	return more;
}

static int restore_group(struct rollback *r, const struct group *group)
{
	int err = walk_group(r, group);

	for (struct zone *z = group->first; z < group->end && !err; z++)
		if (z->changed && !z->done)
			err = restore_all(r, z);
	return err;
}

/* To read it costs less than to ask what was written. */
static void restore_small(struct rollback *r, struct zone *z)
{
	const bool compare = z->changed || !(z->protection & PROT_WRITE);

	for (uint64_t at = z->start; at < z->end; at += PAGE_BYTES)
		if (!compare || !bytes__same_page(at, zone__copy(z, at)))
			restore_pages__copy(r, z, zone__page(z, at), at, zone__copy(z, at));
	z->changed = false;
}

/* All its pages are hot: there is nothing to ask for. */
static bool is_hot(const struct rollback *r, const struct zone *z)
{
	return z->hot * PAGE_BYTES == z->end - z->start && !z->file && z->armed &&
	       (r->flags & ROLLBACK_FIXED_MAPPINGS);
}

static void restore_hot(struct rollback *r, struct zone *z)
{
	const struct pagemap_run all = {z->start, z->end, ZONE_DATA};

	z->written = z->faults = 0;
	restore_pages__restore_data(r, z, &all, false);
	restore_pages__flush(r, z);
}

/* Is it sure that nothing of it was written, and nothing is gone? */
static bool needs_no_look(const struct rollback *r, const struct zone *z)
{
	return !z->changed && !(z->protection & PROT_WRITE) && (r->flags & ROLLBACK_FIXED_MAPPINGS);
}

/* If the file of a mapping is truncated, pages go without a sign. ROLLBACK_FIXED_MAPPINGS promises
 * that it is not. */
static bool is_listed(const struct rollback *r, const struct zone *z)
{
	return r->is_listed && (!z->file || (r->flags & ROLLBACK_FIXED_MAPPINGS));
}

/* Restores a zone alone, unless it goes faster with the list, or together with others. */
static int restore_alone(struct rollback *r, struct zone *z)
{
	z->done = true;
	z->listed = z->tracked = false;
	if (z->start < r->kept_stack.end && r->kept_stack.end <= z->end) {
		z->changed = true;
		return 0;
	}
	if (needs_no_look(r, z) || (z->whole && restore_whole__restore(r, z)))
		return 0;
	if (z->small) {
		restore_small(r, z);
		return 0;
	}
	if (z->changed || !z->armed)
		return restore_all(r, z);
	z->tracked = true;
	z->listed = is_listed(r, z);
	if (!z->listed && is_hot(r, z)) {
		restore_hot(r, z);
		return 0;
	}
	if (zone__is_dense(r, z))
		return restore_dense(r, z);
	z->written = z->faults = 0;
	z->done = false;
	return 0;
}

static void finish(struct rollback *r, struct zone *z)
{
	if (z->lost)
		zones__arm_range(r, z, z->start, z->end);
	z->lost = false;
	restore_pages__close_zone(z);
	if (z->tracked)
		restore_whole__judge(r, z);
	z->done = false;
}

int restore_zones(struct rollback *r)
{
	const struct write_tracking *t = &r->files->tracking;
	struct group group;
	int err = 0;

	if (r->generation != r->files->generation)
		zones__changed(r, 0, UINT64_MAX);
	for (size_t i = 0; i < r->zone_count && !err; i++)
		err = restore_alone(r, &r->zones[i]);
	if (r->is_listed && !err)
		err = restore_listed(r);
	for (size_t i = 0; i < r->zone_count; i++)
		r->zones[i].done |= r->zones[i].listed;
	for (struct zone *z = r->zones; z < r->zones + r->zone_count && !err; z = group.end) {
		group = (struct group){z, z + 1, false, false};
		if (z->done)
			continue;
		group = find_group(r, z);
		err = restore_group(r, &group);
	}
	for (size_t i = 0; i < r->zone_count; i++)
		finish(r, &r->zones[i]);
	if (t->way == WRITE_TRACKING_SOFT_DIRTY && !err)
		err = write_tracking__begin_round(t);
	if (err)
		return err;
	r->generation = r->files->generation;
	r->stats.copied_pages += r->stats.last_copied_pages;
	return 0;
}
