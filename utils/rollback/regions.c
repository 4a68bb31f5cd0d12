/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See regions.h. The copy of a page lies in the store as far from that of its region's start as the
 * page from the start: there is no index.
 */
#include "rollback/regions.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "base/raw_syscall.h"
#include "pages/write_protect.h"
#include "rollback/bytes.h"

enum {
	/* Of a region that is copied back as a whole, for that costs less than to ask for its pages
	 * beside others. Its mapping must not change: a guard there would be fatal. */
	SMALL_PAGES = 2,
	DENSE_BYTES = 2 << 20, /* at least, of a dense region */
};

static void protect(const struct region *g, int protection)
{
	(void)raw_syscall__call(SYS_mprotect, g->start, g->end - g->start, (uint64_t)protection, 0);
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
	struct iovec to = {bytes__at(region__copy(g, address)), PAGE_BYTES};
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
		region__page(g, at)->kind = PAGE_STORED;
	g->stored += (end - start) / PAGE_BYTES;
}

static void save_guard(struct rollback *r, struct region *g, const struct pagemap_run *run)
{
	(void)r;
	g->has_guards = true;
	for (uint64_t at = run->start; at < run->end; at += PAGE_BYTES)
		region__page(g, at)->kind = PAGE_GUARD;
}

static void save_data(struct rollback *r, struct region *g, const struct pagemap_run *run)
{
	if (run->categories & PAGEMAP_FILE)
		return;
	g->huge |= run->categories & PAGEMAP_HUGE;
	if (run->categories & PAGEMAP_PRESENT) {
		bytes__copy(region__copy(g, run->start), run->start, run->end - run->start);
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
 * Those of a file stay absent, for the file may be shorter than its mapping. With a list, nobody
 * looks for absent pages. */
static void fill_up(struct rollback *r, struct region *g)
{
	if (!(r->flags & ROLLBACK_FIXED_MAPPINGS) || own_files__has_list(r->files) ||
	    g->end - g->start > SMALL_PAGES * PAGE_BYTES || !(g->protection & PROT_READ))
		return;
	for (uint64_t at = g->start; at < g->end; at += PAGE_BYTES) {
		const int kind = region__page(g, at)->kind;

		if (kind == PAGE_GUARD || (g->file && kind == PAGE_ABSENT))
			return;
	}
	g->small = true;
	for (uint64_t at = g->start; at < g->end; at += PAGE_BYTES)
		if (region__page(g, at)->kind == PAGE_ABSENT)
			save_run(r, g, at, at + PAGE_BYTES);
}

static int save_region(struct rollback *r, struct region *g)
{
	const bool readable = g->protection & PROT_READ;
	const bool large = g->end - g->start >= DENSE_BYTES;
	const struct pagemap *p = &r->files->pagemap;
	int err;

	if (large)
		(void)raw_syscall__call(SYS_madvise, g->store, g->end - g->start, MADV_HUGEPAGE, 0);
	if (!readable)
		protect(g, PROT_READ);
	err = walk(r, g, REGION_DATA, (g->file ? PAGEMAP_FILE : 0) | (large ? PAGEMAP_HUGE : 0),
		   save_data);
	if (!err && p->knows_guards)
		err = walk(r, g, PAGEMAP_GUARD, PAGEMAP_GUARD, save_guard);
	if (!readable)
		protect(g, g->protection);
	if (!err)
		fill_up(r, g);
	r->stats.saved_pages += g->stored;
	return err;
}

/* Cuts a region: *g becomes the part before address, and the next one the rest. */
static struct region *cut(struct region *g, uint64_t address)
{
	const uint64_t bytes = address - g->start;

	if (bytes == 0 || address == g->end)
		return g;
	g[1] = *g;
	g[1].start = address;
	g[1].store += bytes;
	g[1].pages += bytes / PAGE_BYTES;
	g->end = address;
	return g + 1;
}

/* Gives long runs of stored pages a region of their own: see restore_regions.c. Returns the last
 * one. */
static struct region *cut_dense(struct rollback *r, struct region *g, size_t first_run)
{
	if (g->file || g->huge || r->files->tracking.way != WRITE_TRACKING_PROTECT)
		return g;
	for (const struct range *x = &r->runs[first_run]; x < &r->runs[r->run_count]; x++) {
		const uint64_t pages = (x->end - x->start) / PAGE_BYTES;
		const uint64_t others = g->stored - pages;

		if (x->end - x->start < DENSE_BYTES)
			continue;
		g->stored = others;
		g = cut(g, x->start);
		g->dense = true;
		g->stored = pages;
		if (x->end == g->end)
			break;
		g = cut(g, x->end);
		g->dense = false;
		g->stored = others;
	}
	return g;
}

/* Most of the code of libraries has no pages of our own. If it gets some, its mapping has changed:
 * see regions__changed. */
static bool needs_no_look(const struct region *g)
{
	return g->file && !(g->protection & PROT_WRITE) && g->stored == 0;
}

bool regions__next_part(const struct rollback *r, bool excluded, uint64_t *at, uint64_t end,
			uint64_t *ret_end)
{
	struct range kept[CHECKPOINT_OUTER + CHECKPOINT_EXCLUDED + 1];
	size_t count = 0;
	uint64_t limit = end;

	kept[count++] = r->own;
	for (const struct rollback *each = r->outer; each; each = each->outer)
		kept[count++] = each->own;
	if (excluded && r->kept_stack.end)
		kept[count++] = r->kept_stack;
	for (size_t i = 0; excluded && i < r->excluded_count; i++)
		kept[count++] = (struct range){page__start(r->excluded[i].start),
					       page__round_up(r->excluded[i].end)};
	for (size_t i = 0; i < count; i++) {
		if (kept[i].start <= *at && *at < kept[i].end) {
			*at = kept[i].end;
			limit = end;
			i = (size_t)-1; /* again: another one may begin here */
		} else if (kept[i].start > *at && kept[i].start < limit) {
			limit = kept[i].start;
		}
	}
	*ret_end = limit;
	return *at < end;
}

int regions__save(struct rollback *r, uint64_t store, struct page *pages)
{
	for (size_t i = 0; i < r->saved.count; i++) {
		const struct mapping *m = &r->saved.items[i];
		uint64_t at = m->start, end;

		if (regions__pages_of(m) == 0)
			continue;
		for (; regions__next_part(r, true, &at, m->end, &end); at = end) {
			struct region *g = &r->regions[r->region_count];
			const size_t first_run = r->run_count;
			int err;

			/* as the program has it, so that huge pages fit */
			if (end - at >= DENSE_BYTES)
				store += (at - store) % DENSE_BYTES;
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
			g = cut_dense(r, g, first_run);
			r->region_count = (size_t)(g + 1 - r->regions);
		}
	}
	return 0;
}

static void arm_range(struct rollback *r, struct region *g, uint64_t start, uint64_t end)
{
	const struct write_tracking *t = &r->files->tracking;

	if (write_tracking__arm(t, &r->files->pagemap, start, end)) {
		g->armed = false;
		return;
	}
	if (!region__is_dense(r, g))
		return;
	for (uint64_t at = region__sentinel(g, start); at < end; at = region__next_sentinel(at))
		(void)write_protect__release(t->uffd, at, at + PAGE_BYTES);
}

void regions__arm_range(struct rollback *r, struct region *g, uint64_t start, uint64_t end)
{
	if (g->small || r->files->tracking.way == WRITE_TRACKING_NONE)
		return;
	g->armed = true;
	arm_range(r, g, start, end);
}

void regions__arm(struct rollback *r)
{
	r->files->generation++;
	(void)write_tracking__begin_round(&r->files->tracking);
	for (size_t i = 0; i < r->region_count; i++)
		regions__arm_range(r, &r->regions[i], r->regions[i].start, r->regions[i].end);
	r->generation = r->files->generation;
}

void regions__changed(struct rollback *r, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < r->region_count; i++)
		if (r->regions[i].start < end && start < r->regions[i].end)
			r->regions[i].changed = true;
}

void regions__mapped(struct rollback *r, uint64_t start, uint64_t end)
{
	const struct write_tracking *t = &r->files->tracking;

	regions__changed(r, start, end);
	if (t->way != WRITE_TRACKING_PROTECT || r->generation != r->files->generation)
		return;
	for (size_t i = 0; i < r->region_count; i++) {
		const struct region *g = &r->regions[i];
		const uint64_t from = g->start > start ? g->start : start;
		const uint64_t to = g->end < end ? g->end : end;

		if (g->armed && from < to)
			(void)write_protect__register(t->uffd, from, to);
	}
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
			region__page(g, at)->kind |= PAGE_EXCLUDED;
	}
}
