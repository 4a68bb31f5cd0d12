/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See restore_regions.h.
 *
 * Of a dense region, all pages are stored, so it does not matter whether a page was written or is
 * gone: the walk of pagemap__begin_written is enough. But that is silent where a page table is
 * gone. So one page of each table, its sentinel, is never armed: each walk must return it.
 */
#include "rollback/restore_regions.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/raw_syscall.h"
#include "rollback/bytes.h"
#include "rollback/regions.h"
#include "rollback/restore_listed.h"
#include "rollback/restore_pages.h"

enum {
	SCAN_RUNS = 64,        /* asked for at once; the kernel allocates memory for them */
	TOGETHER_PAGES = 4096, /* at most, of regions that are asked for at once */
	FEW_PAGES = 64,        /* to return all of them costs less than another call */
};

/* Looks at all pages. */
static int restore_all(struct rollback *r, struct region *g)
{
	struct pagemap *p = &r->files->pagemap;
	struct pagemap_run run;
	int more;

	pagemap__begin_any(p, g->start, g->end, 0, 0,
			   restore_pages__more_categories(r, g) |
				   write_tracking__categories(&r->files->tracking));
	g->written = 0;
	while ((more = pagemap__next(p, &run)) > 0)
		restore_pages__restore_run(r, g, &run, true);
	restore_pages__flush(r, g);
	g->changed = more < 0;
	if (!g->changed)
		regions__arm_range(r, g, g->start, g->end);
	g->lost = false;
	return more;
}

/* A page table is gone, with its pages. */
static void restore_table(struct rollback *r, struct region *g, uint64_t sentinel)
{
	uint64_t end = region__next_sentinel(sentinel);

	if (end > g->end)
		end = g->end;
	for (uint64_t at = sentinel; at < end; at += PAGE_BYTES)
		(void)restore_pages__put_back(r, g, at, false);
	regions__arm_range(r, g, sentinel, end);
}

static int restore_dense(struct rollback *r, struct region *g)
{
	struct pagemap *p = &r->files->pagemap;
	uint64_t sentinel = g->start;
	struct pagemap_run run;
	int more;

	pagemap__begin_written(p, g->start, g->end);
	p->room = SCAN_RUNS;
	g->written = 0;
	while ((more = pagemap__next(p, &run)) > 0) {
		for (; sentinel < run.start; sentinel = region__next_sentinel(sentinel))
			restore_table(r, g, sentinel);
		while (sentinel < run.end)
			sentinel = region__next_sentinel(sentinel);
		restore_pages__restore_data(r, g, &run, false);
	}
	for (; more == 0 && sentinel < g->end; sentinel = region__next_sentinel(sentinel))
		restore_table(r, g, sentinel);
	restore_pages__flush(r, g);
	return more;
}

static uint64_t pages_of(const struct region *g)
{
	return (g->end - g->start) / PAGE_BYTES;
}

/* Most of its pages were never used: to ask for those that are there is faster than to ask for
 * those that are gone. */
static bool is_sparse(const struct region *g)
{
	return pages_of(g) > 2 * g->stored && !g->has_guards;
}

/* Would a walk notice another mapping in its place, by stored pages that are missing? */
static bool is_witness(const struct region *g)
{
	return g->stored > 0 && !g->has_guards && (pages_of(g) <= FEW_PAGES || is_sparse(g));
}

/* Regions that are asked for at once. */
struct group {
	struct region *first, *end;
	bool spans;   /* other mappings lie between them */
	bool present; /* asks for all pages that are there */
};

/*
 * The regions that are asked for together with first. Other mappings may lie between them if the
 * kernel is told to pass over what is not tracked. But then it also passes over a new mapping in
 * the place of a region. Either the caller has promised that there is none. Or the list of mappings
 * is as before: then a new mapping has replaced a whole region, whose stored pages are all missing.
 */
static struct group find_group(const struct rollback *r, struct region *first)
{
	const struct region *all_end = &r->regions[r->region_count];
	const bool protects = r->files->tracking.way == WRITE_TRACKING_PROTECT;
	const bool fixed = protects && (r->flags & ROLLBACK_FIXED_MAPPINGS);
	const bool witnesses = protects && r->same_mappings && is_witness(first);
	struct group group = {first, first + 1, false, protects && is_sparse(first)};
	uint64_t pages = pages_of(first);

	group.present |= witnesses;
	for (struct region *next = first + 1; next < all_end; next++) {
		pages += pages_of(next);
		if (region__is_dense(r, next) || pages > TOGETHER_PAGES)
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

	for (const struct region *g = group->first; g < group->end; g++)
		if (!g->done)
			more |= restore_pages__more_categories(r, g);
	write_tracking__begin_with(&r->files->tracking, p, group->first->start, group->end[-1].end,
				   more);
	p->room = SCAN_RUNS;
	if (group->present) {
		/* Pages that were never used count as written. */
		p->inverted &= ~(uint64_t)PAGEMAP_PRESENT;
		p->any_of &= ~(uint64_t)PAGEMAP_WRITTEN;
		p->any_of |= REGION_DATA;
	}
	if (group->spans) {
		p->required = PAGEMAP_TRACKED;
		p->inverted &= ~(uint64_t)PAGEMAP_TRACKED;
		p->any_of &= ~(uint64_t)PAGEMAP_TRACKED;
	}
}

/* The walk has not returned [start, end): if pages were stored there, they are missing. */
static void note_gap(const struct rollback *r, const struct group *group, struct region *g,
		     uint64_t start, uint64_t end)
{
	if (group->present && !g->done && start < end)
		g->changed |= restore_pages__has_stored(r, start, end);
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* All of a region has been looked at up to an address. */
static void end_region(struct rollback *r, const struct group *group, struct region *g,
		       uint64_t address)
{
	note_gap(r, group, g, later(address, g->start), g->end);
	restore_pages__flush(r, g);
}

/* Asks for the pages of a group. */
static int walk_group(struct rollback *r, const struct group *group)
{
	struct pagemap *p = &r->files->pagemap;
	struct region *g = group->first;
	uint64_t at = g->start; /* what lies before has been looked at */
	struct pagemap_run run;
	int more;

	begin_group(r, group);
	while ((more = pagemap__next(p, &run)) > 0) {
		while (run.start < run.end) {
			struct pagemap_run part = run;

			for (; g < group->end && g->end <= run.start; g++)
				end_region(r, group, g, at);
			if (g == group->end || g->start >= run.end)
				break;
			part.start = later(part.start, g->start);
			if (part.end > g->end)
				part.end = g->end;
			note_gap(r, group, g, later(at, g->start), part.start);
			if (!g->done)
				restore_pages__restore_run(r, g, &part, false);
			run.start = at = part.end;
		}
	}
	if (more < 0 && g < group->end)
		restore_pages__flush(r, g);
	for (; more == 0 && g < group->end; g++)
		end_region(r, group, g, at);
	return more;
}

static int restore_group(struct rollback *r, const struct group *group)
{
	int err = walk_group(r, group);

	for (struct region *g = group->first; g < group->end && !err; g++)
		if (g->changed && !g->done)
			err = restore_all(r, g);
	return err;
}

/* To read it costs less than to ask what was written. */
static void restore_small(struct rollback *r, struct region *g)
{
	const bool compare = g->changed || !(g->protection & PROT_WRITE);

	for (uint64_t at = g->start; at < g->end; at += PAGE_BYTES)
		if (!compare || !bytes__same_page(at, region__copy(g, at)))
			restore_pages__copy(r, g, region__page(g, at), at, region__copy(g, at));
	g->changed = false;
}

/* All its pages are hot: there is nothing to ask for. */
static bool is_hot(const struct rollback *r, const struct region *g)
{
	return g->hot * PAGE_BYTES == g->end - g->start && !g->file && g->armed &&
	       (r->flags & ROLLBACK_FIXED_MAPPINGS);
}

static void restore_hot(struct rollback *r, struct region *g)
{
	const struct pagemap_run all = {g->start, g->end, REGION_DATA};

	g->written = 0;
	restore_pages__restore_data(r, g, &all, false);
	restore_pages__flush(r, g);
}

/* Is it sure that nothing of it was written, and nothing is gone? */
static bool needs_no_look(const struct rollback *r, const struct region *g)
{
	return !g->changed && !(g->protection & PROT_WRITE) && (r->flags & ROLLBACK_FIXED_MAPPINGS);
}

/* If the file of a mapping is truncated, pages go without a sign. ROLLBACK_FIXED_MAPPINGS promises
 * that it is not. */
static bool is_listed(const struct rollback *r, const struct region *g)
{
	return r->is_listed && (!g->file || (r->flags & ROLLBACK_FIXED_MAPPINGS));
}

/* Restores a region alone, unless it goes faster with the list, or together with others. */
static int restore_alone(struct rollback *r, struct region *g)
{
	g->done = true;
	g->listed = false;
	if (g->start < r->kept_stack.end && r->kept_stack.end <= g->end) {
		g->changed = true;
		return 0;
	}
	if (needs_no_look(r, g))
		return 0;
	if (g->small) {
		restore_small(r, g);
		return 0;
	}
	if (g->changed || !g->armed)
		return restore_all(r, g);
	g->listed = is_listed(r, g);
	if (!g->listed && is_hot(r, g)) {
		restore_hot(r, g);
		return 0;
	}
	if (region__is_dense(r, g))
		return restore_dense(r, g);
	g->written = 0;
	g->done = false;
	return 0;
}

static void finish(struct rollback *r, struct region *g)
{
	if (g->lost)
		regions__arm_range(r, g, g->start, g->end);
	g->lost = false;
	restore_pages__close_region(g);
	g->done = false;
}

int restore_regions(struct rollback *r)
{
	const struct write_tracking *t = &r->files->tracking;
	struct group group;
	int err = 0;

	if (r->generation != r->files->generation)
		regions__changed(r, 0, UINT64_MAX);
	for (size_t i = 0; i < r->region_count && !err; i++)
		err = restore_alone(r, &r->regions[i]);
	if (r->is_listed && !err)
		err = restore_listed(r);
	for (size_t i = 0; i < r->region_count; i++)
		r->regions[i].done |= r->regions[i].listed;
	for (struct region *g = r->regions; g < r->regions + r->region_count && !err;
	     g = group.end) {
		group = (struct group){g, g + 1, false, false};
		if (g->done)
			continue;
		group = find_group(r, g);
		err = restore_group(r, &group);
	}
	for (size_t i = 0; i < r->region_count; i++)
		finish(r, &r->regions[i]);
	if (t->way == WRITE_TRACKING_SOFT_DIRTY && !err)
		err = write_tracking__begin_round(t);
	if (err)
		return err;
	r->generation = r->files->generation;
	r->stats.copied_pages += r->stats.last_copied_pages;
	return 0;
}
