/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See restore_regions.h.
 *
 * The first write to an armed page costs a fault, and arming it again a system call: together much
 * more than to copy it back. So a page that is written in most rounds is hot: it
 * is left unarmed, and copied back each time. A few hot pages of each round are compared first:
 * those that were not written cool down, and are armed again in the end.
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

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#define MADV_GUARD_REMOVE  103
#endif

enum {
	/* heat: so many rounds in a row, not more than HOT_GAP apart, make a page hot. */
	HOT = 3,
	HOT_GAP = 8,
	HOTTEST = HOT + 8,
	SAMPLE = 16,           /* one hot page in so many is compared in each round */
	CROWDED_PART = 8,      /* if so large a part of a region is written in a round, ... */
	CROWDED_HOT = 1,       /* ... its written pages are hot at once */
	SCAN_RUNS = 64,        /* asked for at once; the kernel allocates memory for them */
	GAP = 200,             /* pages between two runs that are armed by one call */
	TOGETHER_PAGES = 4096, /* at most, of regions that are asked for at once */
};

static bool advise(uint64_t start, uint64_t end, int advice)
{
	return raw_syscall__call(SYS_madvise, start, end - start, (uint64_t)advice, 0) == 0;
}

static void protect(const struct region *g, int protection)
{
	(void)raw_syscall__call(SYS_mprotect, g->start, g->end - g->start, (uint64_t)protection, 0);
}

/* Copies a page, or clears it if from is 0, but for the bytes that are excluded. */
static void copy_around(const struct rollback *r, uint64_t to, uint64_t from)
{
	const uint64_t end = to + PAGE_BYTES;
	uint64_t at = to;

	while (at < end) {
		uint64_t limit = end, next = at;

		for (size_t i = 0; i < r->excluded_count; i++) {
			const struct range *x = &r->excluded[i];

			if (x->start <= at && at < x->end && x->end > next)
				next = x->end;
			else if (x->start > at && x->start < limit)
				limit = x->start;
		}
		if (next > at) {
			at = next;
			continue;
		}
		if (from)
			bytes__copy(at, from + (at - to), limit - at);
		else
			bytes__clear(at, limit - at);
		at = limit;
	}
}

static void open_region(struct region *g)
{
	if (g->opened || (g->protection & (PROT_READ | PROT_WRITE)) == (PROT_READ | PROT_WRITE))
		return;
	g->opened = true;
	protect(g, PROT_READ | PROT_WRITE);
}

static void copy_page(struct rollback *r, struct region *g, const struct page *page, uint64_t at,
		      uint64_t from)
{
	open_region(g);
	if (page->kind & PAGE_EXCLUDED)
		copy_around(r, at, from);
	else if (from)
		bytes__copy(at, from, PAGE_BYTES);
	else
		bytes__clear(at, PAGE_BYTES);
	r->stats.last_copied_pages++;
}

/* A page was written. Returns whether it is hot. */
static bool heat_up(struct rollback *r, struct region *g, struct page *page)
{
	const uint16_t round = (uint16_t)r->stats.rollbacks;
	const bool crowded = g->written * CROWDED_PART > g->stored;

	if (page->heat >= HOT) {
		page->heat = HOTTEST;
		return true;
	}
	page->heat = (uint16_t)(round - page->round) <= HOT_GAP ? page->heat + 1 : 1;
	page->round = round;
	if (page->heat < (crowded ? CROWDED_HOT : HOT))
		return false;
	page->heat = HOTTEST;
	g->hot++;
	r->stats.hot_pages++;
	return true;
}

/* A hot page was not written. Returns whether it is hot still. */
static bool cool_down(struct rollback *r, struct region *g, struct page *page)
{
	if (--page->heat >= HOT)
		return true;
	page->heat = 0;
	g->hot--;
	r->stats.hot_pages--;
	return false;
}

/* Puts back a stored page that may have been written. Returns whether it is to stay unarmed. */
static bool put_back(struct rollback *r, struct region *g, uint64_t at, bool compare)
{
	struct page *page = region__page(g, at);
	const bool hot = page->heat >= HOT, sentinel = region__is_sentinel(g, at);
	const uint64_t from = region__copy(g, at);

	if (compare || sentinel || (hot && (r->stats.rollbacks + at / PAGE_BYTES) % SAMPLE == 0)) {
		if (!(g->protection & PROT_READ))
			open_region(g);
		if (bytes__same_page(at, from))
			return (hot && cool_down(r, g, page)) || sentinel;
	}
	copy_page(r, g, page, at, from);
	g->written++;
	return heat_up(r, g, page) || sentinel;
}

/* Empties [start, end), which had no pages of our own. Such pages get hot too: to clear one costs
 * less than to give it back and take a new one. */
static uint64_t discard(struct rollback *r, struct region *g, uint64_t start, uint64_t end)
{
	uint64_t at = start, from = start;

	for (; at < end && (region__page(g, at)->kind & PAGE_KIND) == PAGE_ABSENT;
	     at += PAGE_BYTES) {
		struct page *page = region__page(g, at);

		g->written++;
		if (!(page->kind & PAGE_EXCLUDED) && (g->file || !heat_up(r, g, page)))
			continue;
		if (from < at)
			(void)advise(from, at, MADV_DONTNEED);
		from = at + PAGE_BYTES;
		copy_page(r, g, page, at, 0);
	}
	/* A page that is locked stays. */
	if (from < at && !advise(from, at, MADV_DONTNEED))
		for (; from < at; from += PAGE_BYTES)
			copy_page(r, g, region__page(g, from), from, 0);
	return at;
}

/* Arms the pages that were noted by rearm. */
static void flush(struct rollback *r, struct region *g)
{
	if (r->cold.start < r->cold.end &&
	    pagemap__protect_all(&r->files->pagemap, r->cold.start, r->cold.end))
		g->lost = true;
	r->cold = (struct range){0, 0};
}

/* May a call that arms what lies before and behind arm [start, end) too? Its stored pages are
 * armed, or the walk had returned them. */
static bool may_arm(const struct region *g, uint64_t start, uint64_t end)
{
	for (uint64_t at = start; at < end; at += PAGE_BYTES) {
		const struct page *page = region__page(g, at);

		if ((page->kind & PAGE_KIND) != PAGE_STORED || page->heat >= HOT ||
		    region__is_sentinel(g, at))
			return false;
	}
	return true;
}

/* Notes that the pages of [start, end) are to be armed: they hold data, and are clean again. A call
 * for two such runs with a gap between them costs less than two calls. */
static void rearm(struct rollback *r, struct region *g, uint64_t start, uint64_t end)
{
	struct range *cold = &r->cold;

	if (start == end || !g->armed)
		return;
	if (cold->start == cold->end || start < cold->end || start > cold->end + GAP * PAGE_BYTES ||
	    !may_arm(g, cold->end, start)) {
		flush(r, g);
		cold->start = start;
	}
	cold->end = end;
}

/* Pages that hold data, and may have been written. */
static void restore_data(struct rollback *r, struct region *g, const struct pagemap_run *run,
			 bool compare)
{
	uint64_t at = run->start, cold = at;

	while (at < run->end) {
		const int kind = region__page(g, at)->kind & PAGE_KIND;

		if (kind == PAGE_STORED) {
			const bool hot = put_back(r, g, at, compare);

			at += PAGE_BYTES;
			if (!hot)
				continue;
			rearm(r, g, cold, at - PAGE_BYTES);
		} else {
			rearm(r, g, cold, at);
			if (kind == PAGE_GUARD) {
				at += PAGE_BYTES;
				(void)advise(at - PAGE_BYTES, at, MADV_GUARD_INSTALL);
			} else {
				at = discard(r, g, at, run->end);
			}
		}
		cold = at;
	}
	rearm(r, g, cold, run->end);
}

/* The first run of stored pages that ends behind address. */
static const struct range *find_run(const struct rollback *r, uint64_t address)
{
	size_t low = 0, high = r->run_count;

	while (low < high) {
		const size_t middle = (low + high) / 2;

		if (r->runs[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return &r->runs[low];
}

/* Pages that are not there, or are those of a file: some may have been stored. */
static void restore_absent(struct rollback *r, struct region *g, const struct pagemap_run *run)
{
	const struct range *end = r->runs + r->run_count;

	if (run->categories & PAGEMAP_GUARD) {
		for (uint64_t at = run->start; at < run->end; at += PAGE_BYTES)
			if ((region__page(g, at)->kind & PAGE_KIND) != PAGE_GUARD)
				(void)advise(at, at + PAGE_BYTES, MADV_GUARD_REMOVE);
	} else if (g->has_guards) {
		for (uint64_t at = run->start; at < run->end; at += PAGE_BYTES)
			if ((region__page(g, at)->kind & PAGE_KIND) == PAGE_GUARD)
				(void)advise(at, at + PAGE_BYTES, MADV_GUARD_INSTALL);
	}
	for (const struct range *x = find_run(r, run->start); x < end && x->start < run->end; x++) {
		const uint64_t from = x->start > run->start ? x->start : run->start;
		const uint64_t to = x->end < run->end ? x->end : run->end;

		for (uint64_t at = from; at < to; at += PAGE_BYTES)
			(void)put_back(r, g, at, false);
		rearm(r, g, from, to);
	}
}

/* What a run of a walk tells about the pages of one region. */
static void restore_run(struct rollback *r, struct region *g, const struct pagemap_run *run,
			bool all)
{
	const struct write_tracking *t = &r->files->tracking;
	/* The mark of an armed page of a file outlives it, and looks like swap. */
	const bool maybe_gone = g->file && !(run->categories & PAGEMAP_PRESENT);

	/* So does a guard, which Linux 6.13 and 6.14 do not tell apart. */
	if (!(run->categories & PAGEMAP_PRESENT) && !r->files->pagemap.knows_guards)
		(void)advise(run->start, run->end, MADV_GUARD_REMOVE);
	if (!(run->categories & REGION_DATA) || (run->categories & (PAGEMAP_FILE | PAGEMAP_GUARD)))
		restore_absent(r, g, run);
	else if (all || maybe_gone || write_tracking__is_written(t, run))
		restore_data(r, g, run, all || maybe_gone);
	if (t->way == WRITE_TRACKING_PROTECT && !(run->categories & PAGEMAP_TRACKED))
		g->lost = true;
}

static uint64_t more_categories(const struct rollback *r, const struct region *g)
{
	return (g->file ? PAGEMAP_FILE : 0) | (r->files->pagemap.knows_guards ? PAGEMAP_GUARD : 0);
}

/* Looks at all pages. */
static int restore_all(struct rollback *r, struct region *g)
{
	struct pagemap *p = &r->files->pagemap;
	struct pagemap_run run;
	int more;

	pagemap__begin_any(p, g->start, g->end, 0, 0,
			   more_categories(r, g) | write_tracking__categories(&r->files->tracking));
	g->written = 0;
	while ((more = pagemap__next(p, &run)) > 0)
		restore_run(r, g, &run, true);
	flush(r, g);
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
		(void)put_back(r, g, at, false);
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
		restore_data(r, g, &run, false);
	}
	for (; more == 0 && sentinel < g->end; sentinel = region__next_sentinel(sentinel))
		restore_table(r, g, sentinel);
	flush(r, g);
	return more;
}

/* The regions from first on that can be asked for at once. If mappings do not change, others
 * between them do not matter. Returns the end of them. */
static size_t find_together(const struct rollback *r, size_t first)
{
	const struct region *g = &r->regions[first];
	const bool fixed = (r->flags & ROLLBACK_FIXED_MAPPINGS) &&
			   r->files->tracking.way == WRITE_TRACKING_PROTECT;
	uint64_t pages = (g->end - g->start) / PAGE_BYTES;
	size_t last = first;

	for (size_t i = first + 1; i < r->region_count; i++) {
		const struct region *next = &r->regions[i];

		pages += (next->end - next->start) / PAGE_BYTES;
		if (next->dense || pages > TOGETHER_PAGES)
			break;
		if (!fixed && (next->done || next->start != next[-1].end || next->file != g->file))
			break;
		if (!next->done)
			last = i;
	}
	return last + 1;
}

/* Asks for the pages of some regions at once. */
static int restore_together(struct rollback *r, struct region *g, const struct region *end)
{
	const struct write_tracking *t = &r->files->tracking;
	struct pagemap *p = &r->files->pagemap;
	uint64_t more_of_all = 0;
	struct pagemap_run run;
	int more;

	for (struct region *each = g; each < end; each++) {
		if (each->done)
			continue;
		more_of_all |= more_categories(r, each);
		each->written = 0;
	}
	write_tracking__begin_with(t, p, g->start, end[-1].end, more_of_all);
	p->room = SCAN_RUNS;
	if (end - g > 1 && (r->flags & ROLLBACK_FIXED_MAPPINGS)) {
		/* The kernel passes over mappings that are not tracked. */
		p->required = PAGEMAP_TRACKED;
		p->inverted &= ~(uint64_t)PAGEMAP_TRACKED;
		p->any_of &= ~(uint64_t)PAGEMAP_TRACKED;
	}
	while ((more = pagemap__next(p, &run)) > 0) {
		while (run.start < run.end) {
			struct pagemap_run part = run;

			for (; g < end && g->end <= run.start; g++)
				flush(r, g);
			if (g == end || g->start >= run.end)
				break;
			if (part.start < g->start)
				part.start = g->start;
			if (part.end > g->end)
				part.end = g->end;
			if (!g->done)
				restore_run(r, g, &part, false);
			run.start = part.end;
		}
	}
	if (g < end)
		flush(r, g);
	return more;
}

/* To read it costs less than to ask what was written. */
static void restore_small(struct rollback *r, struct region *g)
{
	const bool compare = g->changed || !(g->protection & PROT_WRITE);

	for (uint64_t at = g->start; at < g->end; at += PAGE_BYTES)
		if (!compare || !bytes__same_page(at, region__copy(g, at)))
			copy_page(r, g, region__page(g, at), at, region__copy(g, at));
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
	restore_data(r, g, &all, false);
	flush(r, g);
}

/* Can none of its bytes have been written, or be gone? */
static bool needs_no_look(const struct rollback *r, const struct region *g)
{
	return !g->changed && !(g->protection & PROT_WRITE) && (r->flags & ROLLBACK_FIXED_MAPPINGS);
}

/* What is better done one by one. */
static int restore_alone(struct rollback *r, struct region *g)
{
	g->done = true;
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
	if (is_hot(r, g)) {
		restore_hot(r, g);
		return 0;
	}
	if (g->dense)
		return restore_dense(r, g);
	g->done = false;
	return 0;
}

static void finish(struct rollback *r, struct region *g)
{
	if (g->lost)
		regions__arm_range(r, g, g->start, g->end);
	g->lost = false;
	if (g->opened)
		protect(g, g->protection);
	g->opened = g->done = false;
}

int restore_regions(struct rollback *r)
{
	const struct write_tracking *t = &r->files->tracking;
	int err = 0;

	if (r->generation != r->files->generation)
		regions__changed(r, 0, UINT64_MAX);
	for (size_t i = 0; i < r->region_count && !err; i++)
		err = restore_alone(r, &r->regions[i]);
	for (size_t i = 0, end; i < r->region_count && !err; i = end) {
		end = i + 1;
		if (r->regions[i].done)
			continue;
		end = find_together(r, i);
		err = restore_together(r, &r->regions[i], &r->regions[end]);
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
