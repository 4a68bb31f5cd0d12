/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See regions.h. The copy of a page lies in the store as far from that of its region's start as the
 * page from the start: there is no index.
 *
 * The first write to an armed page costs a fault, and arming it again a system call: together ten
 * to twenty times as much as to copy it back. So a page that is written in most rounds is hot: it
 * is left unarmed, and copied back each time. A few hot pages of each round are compared first:
 * those that were not written cool down, and are armed again in the end.
 */
#include "rollback/regions.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "base/raw_syscall.h"
#include "rollback/bytes.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#define MADV_GUARD_REMOVE  103
#endif

enum {
	SMALL_PAGES = 8,
	/* heat: so many rounds in a row, not more than HOT_GAP apart, make a page hot. */
	HOT = 3,
	HOT_GAP = 8,
	HOTTEST = HOT + 8,
	SAMPLE = 16,    /* one hot page in so many is compared in each round */
	DENSE_PART = 8, /* if so large a part of a region is written in a round, ... */
	DENSE_HOT = 1,  /* ... its written pages are hot at once */
	HUGE_PAGE = 2 << 20,
};

#define HOLDS_DATA ((uint64_t)PAGEMAP_PRESENT | PAGEMAP_SWAPPED)

static uint64_t copy_of(const struct region *g, uint64_t address)
{
	return g->store + (address - g->start);
}

static struct page *page_of(const struct region *g, uint64_t address)
{
	return &g->pages[(address - g->start) / PAGE_BYTES];
}

static bool advise(uint64_t start, uint64_t end, int advice)
{
	return raw_syscall__call(SYS_madvise, start, end - start, (uint64_t)advice, 0) == 0;
}

static long protect(const struct region *g, int protection)
{
	return raw_syscall__call(SYS_mprotect, g->start, g->end - g->start, (uint64_t)protection,
				 0);
}

/* ---- saving ---- */

uint64_t regions__pages_of(const struct mapping *m)
{
	if (m->shared || mappings__is_special(m))
		return 0;
	return (m->end - m->start) / PAGE_BYTES;
}

/* A page in swap; a guard may look like one (Linux 6.13 and 6.14). */
static bool save_swapped(struct region *g, uint64_t address)
{
	struct iovec to = {bytes__at(copy_of(g, address)), PAGE_BYTES};
	struct iovec from = {bytes__at(address), PAGE_BYTES};
	long pid = raw_syscall__call(SYS_getpid, 0, 0, 0, 0);

	return raw_syscall__call6(SYS_process_vm_readv, (uint64_t)pid, (uintptr_t)&to, 1,
				  (uintptr_t)&from, 1, 0) == (long)PAGE_BYTES;
}

static void save_run(struct rollback *r, struct region *g, uint64_t start, uint64_t end)
{
	struct range *next = &r->runs[r->run_count];

	if (start > g->start && r->run_count > 0 && next[-1].end == start) {
		next[-1].end = end;
	} else {
		*next = (struct range){start, end};
		r->run_count++;
	}
	for (uint64_t at = start; at < end; at += PAGE_BYTES)
		page_of(g, at)->kind = PAGE_STORED;
	g->stored += (end - start) / PAGE_BYTES;
}

static void save_guard(struct rollback *r, struct region *g, const struct pagemap_run *run)
{
	(void)r;
	g->has_guards = true;
	for (uint64_t at = run->start; at < run->end; at += PAGE_BYTES)
		page_of(g, at)->kind = PAGE_GUARD;
}

static void save_data(struct rollback *r, struct region *g, const struct pagemap_run *run)
{
	if (run->categories & PAGEMAP_FILE)
		return;
	if (run->categories & PAGEMAP_PRESENT) {
		bytes__copy(copy_of(g, run->start), run->start, run->end - run->start);
		save_run(r, g, run->start, run->end);
		return;
	}
	for (uint64_t at = run->start; at < run->end; at += PAGE_BYTES) {
		if (save_swapped(g, at))
			save_run(r, g, at, at + PAGE_BYTES);
		else
			save_guard(r, g, &(struct pagemap_run){at, at + PAGE_BYTES, 0});
	}
}

static int walk(struct rollback *r, struct region *g, uint64_t any_of, uint64_t categories,
		void (*visit)(struct rollback *, struct region *, const struct pagemap_run *))
{
	struct pagemap *p = &r->files->pagemap;
	struct pagemap_run run;
	int more;

	pagemap__begin_any(p, g->start, g->end, 0, any_of, categories);
	while ((more = pagemap__next(p, &run)) > 0)
		visit(r, g, &run);
	return more;
}

/* A small region has no absent pages, which would have to be looked for: they are stored as zeros.
 * Those of a file stay absent, for the file may be shorter than its mapping. */
static void fill_up(struct rollback *r, struct region *g)
{
	if (g->end - g->start > SMALL_PAGES * PAGE_BYTES || !(g->protection & PROT_READ))
		return;
	for (uint64_t at = g->start; at < g->end; at += PAGE_BYTES) {
		const int kind = page_of(g, at)->kind;

		if (kind == PAGE_GUARD || (g->file && kind == PAGE_ABSENT))
			return;
	}
	g->small = true;
	for (uint64_t at = g->start; at < g->end; at += PAGE_BYTES)
		if (page_of(g, at)->kind == PAGE_ABSENT)
			save_run(r, g, at, at + PAGE_BYTES);
}

static int save_region(struct rollback *r, struct region *g)
{
	const bool readable = g->protection & PROT_READ;
	const struct pagemap *p = &r->files->pagemap;
	int err = 0;

	/* A sparse mapping should not fill huge pages. */
	if (g->end - g->start >= HUGE_PAGE)
		(void)advise(g->store, g->store + (g->end - g->start), MADV_HUGEPAGE);
	if (!readable && protect(g, PROT_READ))
		return -EACCES;
	err = walk(r, g, HOLDS_DATA, g->file ? PAGEMAP_FILE : 0, save_data);
	if (!err && p->knows_guards)
		err = walk(r, g, PAGEMAP_GUARD, PAGEMAP_GUARD, save_guard);
	if (!readable && protect(g, g->protection))
		return -EACCES;
	if (!err)
		fill_up(r, g);
	r->stats.saved_pages += g->stored;
	return err;
}

/* Most of the code of libraries has no pages of our own. If it gets some, its mapping has changed:
 * see regions__changed. */
static bool needs_no_look(const struct region *g)
{
	return g->file && !(g->protection & PROT_WRITE) && g->stored == 0;
}

int regions__save(struct rollback *r, uint64_t store, struct page *pages)
{
	for (size_t i = 0; i < r->saved.count; i++) {
		const struct mapping *m = &r->saved.items[i];
		uint64_t at = m->start, end;

		if (regions__pages_of(m) == 0)
			continue;
		for (; checkpoint__next_part(r, false, &at, m->end, &end); at = end) {
			struct region *g = &r->regions[r->region_count];
			int err;

			/* as the program has it, so that huge pages fit */
			store += (at - store) % HUGE_PAGE;
			*g = (struct region){.start = at,
					     .end = end,
					     .store = store,
					     .pages = pages,
					     .protection = m->protection,
					     .file = m->inode != 0};
			err = save_region(r, g);
			if (err)
				return err;
			if (needs_no_look(g))
				continue;
			store += end - at;
			pages += (end - at) / PAGE_BYTES;
			r->region_count++;
		}
	}
	return 0;
}

static void arm(struct rollback *r, struct region *g)
{
	if (!g->small)
		g->armed = r->files->tracking.way != WRITE_TRACKING_NONE &&
			   write_tracking__arm(&r->files->tracking, &r->files->pagemap, g->start,
					       g->end) == 0;
	g->lost = false;
}

void regions__arm(struct rollback *r)
{
	r->files->generation++;
	(void)write_tracking__begin_round(&r->files->tracking);
	for (size_t i = 0; i < r->region_count; i++)
		arm(r, &r->regions[i]);
	r->generation = r->files->generation;
}

/* ---- putting back ---- */

void regions__changed(struct rollback *r, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < r->region_count; i++)
		if (r->regions[i].start < end && start < r->regions[i].end)
			r->regions[i].changed = true;
}

bool regions__have(const struct rollback *r, const struct range *part)
{
	for (size_t i = 0; i < r->region_count; i++)
		if (r->regions[i].start < part->end && part->start < r->regions[i].end)
			return true;
	return false;
}

void regions__exclude(struct rollback *r, const struct range *range)
{
	for (size_t i = 0; i < r->region_count; i++) {
		struct region *g = &r->regions[i];
		uint64_t at = page__start(range->start);

		if (at < g->start)
			at = g->start;
		for (; at < g->end && at < range->end; at += PAGE_BYTES)
			page_of(g, at)->kind |= PAGE_EXCLUDED;
	}
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
	(void)protect(g, PROT_READ | PROT_WRITE);
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
static bool heat_up(struct rollback *r, const struct region *g, struct page *page)
{
	const uint16_t round = (uint16_t)r->stats.rollbacks;
	const bool dense = g->written * DENSE_PART > g->stored;

	if (page->heat >= HOT) {
		page->heat = HOTTEST;
		return true;
	}
	page->heat = (uint16_t)(round - page->round) <= HOT_GAP ? page->heat + 1 : 1;
	page->round = round;
	if (page->heat < (dense ? DENSE_HOT : HOT))
		return false;
	page->heat = HOTTEST;
	r->stats.hot_pages++;
	return true;
}

/* A hot page was not written. Returns whether it is hot still. */
static bool cool_down(struct rollback *r, struct page *page)
{
	if (--page->heat >= HOT)
		return true;
	page->heat = 0;
	r->stats.hot_pages--;
	return false;
}

/* Puts back a stored page that may have been written. Returns whether it is to stay unarmed. */
static bool put_back(struct rollback *r, struct region *g, uint64_t at, bool compare)
{
	struct page *page = page_of(g, at);
	const bool hot = page->heat >= HOT;
	const uint64_t from = copy_of(g, at);

	if (compare || (hot && (r->stats.rollbacks + at / PAGE_BYTES) % SAMPLE == 0)) {
		if (!(g->protection & PROT_READ))
			open_region(g);
		if (bytes__same_page(at, from))
			return hot && cool_down(r, page);
	}
	copy_page(r, g, page, at, from);
	g->written++;
	return heat_up(r, g, page);
}

/* Empties [start, end), which had no pages of our own. Such pages get hot too: to clear one costs
 * less than to give it back and take a new one. */
static uint64_t discard(struct rollback *r, struct region *g, uint64_t start, uint64_t end)
{
	uint64_t at = start, from = start;

	for (; at < end && (page_of(g, at)->kind & PAGE_KIND) == PAGE_ABSENT; at += PAGE_BYTES) {
		struct page *page = page_of(g, at);

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
			copy_page(r, g, page_of(g, from), from, 0);
	return at;
}

static void rearm(struct rollback *r, struct region *g, uint64_t start, uint64_t end)
{
	if (start < end && g->armed &&
	    write_tracking__rearm(&r->files->tracking, &r->files->pagemap, start, end))
		g->lost = true;
}

/* Pages that hold data, and may have been written. */
static void restore_data(struct rollback *r, struct region *g, const struct pagemap_run *run,
			 bool compare)
{
	uint64_t at = run->start, cold = at;

	while (at < run->end) {
		const int kind = page_of(g, at)->kind & PAGE_KIND;

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
			if ((page_of(g, at)->kind & PAGE_KIND) != PAGE_GUARD)
				(void)advise(at, at + PAGE_BYTES, MADV_GUARD_REMOVE);
	} else if (g->has_guards) {
		for (uint64_t at = run->start; at < run->end; at += PAGE_BYTES)
			if ((page_of(g, at)->kind & PAGE_KIND) == PAGE_GUARD)
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

/* Only an armed region says what was written. */
static int restore_region(struct rollback *r, struct region *g)
{
	const struct write_tracking *t = &r->files->tracking;
	struct pagemap *p = &r->files->pagemap;
	const uint64_t more_categories =
		(g->file ? PAGEMAP_FILE : 0) | (p->knows_guards ? PAGEMAP_GUARD : 0);
	const bool all = g->changed || !g->armed;
	struct pagemap_run run;
	int more;

	if (all)
		pagemap__begin_any(p, g->start, g->end, 0, 0, more_categories);
	else
		write_tracking__begin_with(t, p, g->start, g->end, more_categories);
	g->written = 0;
	while ((more = pagemap__next(p, &run)) > 0) {
		/* The mark of an armed page of a file outlives it, and looks like swap. */
		const bool maybe_gone = g->file && !(run.categories & PAGEMAP_PRESENT);

		if (!(run.categories & HOLDS_DATA) || (run.categories & PAGEMAP_FILE))
			restore_absent(r, g, &run);
		else if (all || maybe_gone || write_tracking__is_written(t, &run))
			restore_data(r, g, &run, all || maybe_gone);
		if (t->way == WRITE_TRACKING_PROTECT && !(run.categories & PAGEMAP_TRACKED))
			g->lost = true;
	}
	if (all || g->lost)
		arm(r, g);
	g->changed = more < 0;
	return more;
}

/* Reading it costs less than to ask what was written. */
static void restore_small(struct rollback *r, struct region *g)
{
	const bool compare = g->changed || !(g->protection & PROT_WRITE);

	for (uint64_t at = g->start; at < g->end; at += PAGE_BYTES)
		if (!compare || !bytes__same_page(at, copy_of(g, at)))
			copy_page(r, g, page_of(g, at), at, copy_of(g, at));
	g->changed = false;
}

int regions__restore(struct rollback *r)
{
	const struct write_tracking *t = &r->files->tracking;
	int err = 0;

	if (r->generation != r->files->generation)
		regions__changed(r, 0, UINT64_MAX);
	for (size_t i = 0; i < r->region_count && !err; i++) {
		struct region *g = &r->regions[i];

		if (g->start < r->kept_stack.end && r->kept_stack.end <= g->end) {
			g->changed = true;
			continue;
		}
		if (g->small)
			restore_small(r, g);
		else
			err = restore_region(r, g);
		if (g->opened)
			(void)protect(g, g->protection);
		g->opened = false;
	}
	if (t->way == WRITE_TRACKING_SOFT_DIRTY && !err)
		err = write_tracking__begin_round(t);
	if (err)
		return err;
	r->generation = r->files->generation;
	r->stats.copied_pages += r->stats.last_copied_pages;
	return 0;
}
