/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See zones.h. A page has the same offset in the stored zone as in the zone: there is no index.
 */
#include "rollback/zones.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "base/raw_syscall.h"
#include "pages/write_protect.h"
#include "rollback/bytes.h"
#include "rollback/store.h"

enum {
	/* A zone of at most so many pages is copied back as a whole, which costs less than to ask
	 * for its pages. Its mapping must not change: a guard there would be fatal. */
	SMALL_PAGES = 2,
};

static void protect(const struct zone *z, int protection)
{
	(void)raw_syscall__call(SYS_mprotect, z->start, z->end - z->start, (uint64_t)protection, 0);
}

/* ---- saving ---- */

uint64_t zones__pages_of(const struct mapping *m)
{
	if (m->shared || mappings__is_special(m))
		return 0;
	return (m->end - m->start) / PAGE_BYTES;
}

/* A page in swap; a guard may look like one (Linux 6.13 and 6.14). */
static bool save_swapped(struct zone *z, uint64_t address)
{
	struct iovec to = {bytes__at(zone__copy(z, address)), PAGE_BYTES};
	struct iovec from = {bytes__at(address), PAGE_BYTES};
	long pid = raw_syscall__call(SYS_getpid, 0, 0, 0, 0);

	return raw_syscall__call6(SYS_process_vm_readv, (uint64_t)pid, (uintptr_t)&to, 1,
				  (uintptr_t)&from, 1, 0) == (long)PAGE_BYTES;
}

static void save_run(struct rollback *r, struct zone *z, uint64_t start, uint64_t end)
{
	struct range *next = &r->runs[r->run_count];

	if (start > z->start && r->run_count > 0 && next[-1].end == start) {
		next[-1].end = end;
	} else {
		*next = (struct range){start, end};
		r->run_count++;
	}
	for (uint64_t at = start; at < end; at += PAGE_BYTES)
		zone__page(z, at)->kind = PAGE_STORED;
	z->stored += (end - start) / PAGE_BYTES;
}

static void save_guard(struct rollback *r, struct zone *z, const struct pagemap_run *run)
{
	(void)r;
	z->has_guards = true;
	for (uint64_t at = run->start; at < run->end; at += PAGE_BYTES)
		zone__page(z, at)->kind = PAGE_GUARD;
}

static void save_data(struct rollback *r, struct zone *z, const struct pagemap_run *run)
{
	if (run->categories & PAGEMAP_FILE)
		return;
	z->huge |= run->categories & PAGEMAP_HUGE;
	if (run->categories & PAGEMAP_PRESENT) {
		store__fill(r, zone__copy(z, run->start), run->start, run->end - run->start);
		save_run(r, z, run->start, run->end);
		return;
	}
	for (uint64_t at = run->start; at < run->end; at += PAGE_BYTES) {
		if (save_swapped(z, at))
			save_run(r, z, at, at + PAGE_BYTES);
		else
			save_guard(r, z, &(struct pagemap_run){at, at + PAGE_BYTES, 0});
	}
}

static int walk(struct rollback *r, struct zone *z, uint64_t any_of, uint64_t categories,
		void (*visit)(struct rollback *, struct zone *, const struct pagemap_run *))
{
	struct pagemap *p = &r->files->pagemap;
	struct pagemap_run run;
	int more;

	pagemap__begin_any(p, z->start, z->end, 0, any_of, categories);
	while ((more = pagemap__next(p, &run)) > 0)
		visit(r, z, &run);
	return more;
}

/* A small zone has no absent pages, which would have to be looked for: they are stored as zeros.
 * Those of a file stay absent, for the file may be shorter than its mapping. With a list, nobody
 * looks for absent pages. */
static void fill_up(struct rollback *r, struct zone *z)
{
	if (!(r->flags & ROLLBACK_FIXED_MAPPINGS) || own_files__has_list(r->files) ||
	    z->end - z->start > SMALL_PAGES * PAGE_BYTES || !(z->protection & PROT_READ))
		return;
	for (uint64_t at = z->start; at < z->end; at += PAGE_BYTES) {
		const int kind = zone__page(z, at)->kind;

		if (kind == PAGE_GUARD || (z->file && kind == PAGE_ABSENT))
			return;
	}
	z->small = true;
	for (uint64_t at = z->start; at < z->end; at += PAGE_BYTES)
		if (zone__page(z, at)->kind == PAGE_ABSENT)
			save_run(r, z, at, at + PAGE_BYTES);
}

static int save_zone(struct rollback *r, struct zone *z)
{
	const bool readable = z->protection & PROT_READ;
	const bool large = z->end - z->start >= ZONE_DENSE_BYTES;
	const struct pagemap *p = &r->files->pagemap;
	int err;

	if (large)
		(void)raw_syscall__call(SYS_madvise, z->store, z->end - z->start, MADV_HUGEPAGE, 0);
	if (!readable)
		protect(z, PROT_READ);
	err = walk(r, z, ZONE_DATA, (z->file ? PAGEMAP_FILE : 0) | (large ? PAGEMAP_HUGE : 0),
		   save_data);
	if (!err && p->knows_guards)
		err = walk(r, z, PAGEMAP_GUARD, PAGEMAP_GUARD, save_guard);
	if (!readable)
		protect(z, z->protection);
	if (!err)
		fill_up(r, z);
	r->stats.saved_pages += z->stored;
	return err;
}

/* Cuts a zone: *z becomes the part before address, and the next one the rest. */
static struct zone *cut(struct zone *z, uint64_t address)
{
	const uint64_t bytes = address - z->start;

	if (bytes == 0 || address == z->end)
		return z;
	z[1] = *z;
	z[1].start = address;
	z[1].store += bytes;
	z[1].pages += bytes / PAGE_BYTES;
	z->end = address;
	return z + 1;
}

/* Gives long runs of stored pages a zone of their own: see restore_zones.c. Returns the last
 * one. */
static struct zone *cut_dense(struct rollback *r, struct zone *z, size_t first_run)
{
	uint64_t before = 0; /* stored pages of the zone before the run */

	if (z->file || z->huge || r->files->tracking.way != WRITE_TRACKING_PROTECT)
		return z;
	for (const struct range *x = &r->runs[first_run]; x < &r->runs[r->run_count]; x++) {
		const uint64_t pages = (x->end - x->start) / PAGE_BYTES;
		const uint64_t behind = z->stored - before - pages;

		if (x->end - x->start < ZONE_DENSE_BYTES) {
			before += pages;
			continue;
		}
		z->stored = before;
		z = cut(z, x->start);
		z->dense = true;
		z->stored = pages;
		if (x->end == z->end)
			break;
		z = cut(z, x->end);
		z->dense = false;
		z->stored = behind;
		before = 0;
	}
	return z;
}

/* Most of the code of libraries has no pages of our own. If it gets some, its mapping has changed:
 * see zones__changed. */
static bool needs_no_look(const struct zone *z)
{
	return z->file && !(z->protection & PROT_WRITE) && z->stored == 0;
}

bool zones__next_part(const struct rollback *r, bool excluded, uint64_t *at, uint64_t end,
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

int zones__save(struct rollback *r, uint64_t store, struct page *pages)
{
	for (size_t i = 0; i < r->saved.count; i++) {
		const struct mapping *m = &r->saved.items[i];
		uint64_t at = m->start, end;

		if (zones__pages_of(m) == 0)
			continue;
		for (; zones__next_part(r, true, &at, m->end, &end); at = end) {
			struct zone *z = &r->zones[r->zone_count];
			const size_t first_run = r->run_count;
			int err;

			/* as the program has it, so that huge pages fit */
			if (end - at >= ZONE_DENSE_BYTES)
				store += (at - store) % ZONE_DENSE_BYTES;
			*z = (struct zone){.start = at,
					   .end = end,
					   .store = store,
					   .pages = pages,
					   .protection = m->protection,
					   .file = m->inode != 0};
			err = save_zone(r, z);
			if (err)
				return err;
			if (needs_no_look(z))
				continue;
			store += end - at;
			pages += (end - at) / PAGE_BYTES;
			z = cut_dense(r, z, first_run);
			r->zone_count = (size_t)(z + 1 - r->zones);
		}
	}
	return 0;
}

static void arm_range(struct rollback *r, struct zone *z, uint64_t start, uint64_t end)
{
	const struct write_tracking *t = &r->files->tracking;

	if (write_tracking__arm(t, &r->files->pagemap, start, end)) {
		z->armed = false;
		return;
	}
	if (!zone__is_dense(r, z))
		return;
	for (uint64_t at = zone__sentinel(z, start); at < end; at = zone__next_sentinel(at))
		(void)write_protect__release(t->uffd, at, at + PAGE_BYTES);
}

void zones__arm_range(struct rollback *r, struct zone *z, uint64_t start, uint64_t end)
{
	if (z->small || r->files->tracking.way == WRITE_TRACKING_NONE)
		return;
	z->armed = true;
	arm_range(r, z, start, end);
}

void zones__arm(struct rollback *r)
{
	r->files->generation++;
	(void)write_tracking__begin_round(&r->files->tracking);
	for (size_t i = 0; i < r->zone_count; i++)
		zones__arm_range(r, &r->zones[i], r->zones[i].start, r->zones[i].end);
	r->generation = r->files->generation;
}

void zones__changed(struct rollback *r, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < r->zone_count; i++)
		if (r->zones[i].start < end && start < r->zones[i].end)
			r->zones[i].changed = true;
}

void zones__mapped(struct rollback *r, uint64_t start, uint64_t end)
{
	const struct write_tracking *t = &r->files->tracking;

	zones__changed(r, start, end);
	if (t->way != WRITE_TRACKING_PROTECT || r->generation != r->files->generation)
		return;
	for (size_t i = 0; i < r->zone_count; i++) {
		const struct zone *z = &r->zones[i];
		const uint64_t from = z->start > start ? z->start : start;
		const uint64_t to = z->end < end ? z->end : end;

		if (z->armed && from < to)
			(void)write_protect__register(t->uffd, from, to);
	}
}

bool zones__have(const struct rollback *r, const struct range *part)
{
	for (size_t i = 0; i < r->zone_count; i++)
		if (r->zones[i].start < part->end && part->start < r->zones[i].end)
			return true;
	return false;
}

void zones__exclude(struct rollback *r, const struct range *range)
{
	for (size_t i = 0; i < r->zone_count; i++) {
		struct zone *z = &r->zones[i];
		uint64_t at = page__start(range->start);

		if (at < z->start)
			at = z->start;
		for (; at < z->end && at < range->end; at += PAGE_BYTES)
			zone__page(z, at)->kind |= PAGE_EXCLUDED;
		z->has_excluded |= at > z->start && range->start < z->end;
	}
}
