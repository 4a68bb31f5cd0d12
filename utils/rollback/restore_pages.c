/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See restore_pages.h.
 *
 * The first write to an armed page takes a fault, and arming it again a system call: together much
 * more time than to copy it back. So a page that is written in most rounds is hot: it is left
 * unarmed, and copied back each time. A few hot pages of each round are compared first: those that
 * were not written cool down, and are armed again in the end.
 */
#include "rollback/restore_pages.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/raw_syscall.h"
#include "rollback/bytes.h"
#include "rollback/zones.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#define MADV_GUARD_REMOVE  103
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24 /* Linux 5.18 */
#endif

enum {
	/* PAGE_HOT rounds in which it is written, each at most HOT_GAP later, make a page hot. */
	HOT_GAP = 8,
	HOTTEST = PAGE_HOT + 8,
	SAMPLE = 16,      /* one hot page in so many is compared in each round */
	CROWDED_PART = 8, /* if so large a part of a zone is written in a round, ... */
	CROWDED_HOT = 1,  /* ... its written pages are hot at once */
	GAP = 200,        /* pages between two runs that are armed by one call */
};

static bool advise(uint64_t start, uint64_t end, int advice)
{
	return raw_syscall__call(SYS_madvise, start, end - start, (uint64_t)advice, 0) == 0;
}

/* Gives the pages of [start, end) back, locked ones too. Returns whether they are gone. */
static bool give_back(uint64_t start, uint64_t end)
{
	return advise(start, end, MADV_DONTNEED) || advise(start, end, MADV_DONTNEED_LOCKED);
}

static void protect(const struct zone *z, int protection)
{
	(void)raw_syscall__call(SYS_mprotect, z->start, z->end - z->start, (uint64_t)protection, 0);
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

static void open_zone(struct zone *z)
{
	if (z->opened || (z->protection & (PROT_READ | PROT_WRITE)) == (PROT_READ | PROT_WRITE))
		return;
	z->opened = true;
	protect(z, PROT_READ | PROT_WRITE);
}

void restore_pages__copy(struct rollback *r, struct zone *z, const struct page *page, uint64_t at,
			 uint64_t from)
{
	open_zone(z);
	if (page->kind & PAGE_EXCLUDED)
		copy_around(r, at, from);
	else if (from)
		bytes__copy(at, from, PAGE_BYTES);
	else
		bytes__clear(at, PAGE_BYTES);
	r->stats.last_copied_pages++;
}

/* A page was written. Returns whether it is hot. */
static bool heat_up(struct rollback *r, struct zone *z, struct page *page, uint64_t at)
{
	const uint16_t round = (uint16_t)r->stats.rollbacks;
	const bool crowded = z->written * CROWDED_PART > z->stored;

	if (page->heat >= PAGE_HOT) {
		page->heat = HOTTEST;
		return true;
	}
	z->faults++;
	page->heat = (uint16_t)(round - page->round) <= HOT_GAP ? page->heat + 1 : 1;
	page->round = round;
	if (page->heat < (crowded ? CROWDED_HOT : PAGE_HOT))
		return false;
	page->heat = HOTTEST;
	z->hot++;
	r->stats.hot_pages++;
	if (!(page->kind & PAGE_IN_HOT) && own_files__has_list(r->files)) {
		page->kind |= PAGE_IN_HOT;
		r->hot[r->hot_count++] = (struct hot_page){at, (uint64_t)(z - r->zones)};
	}
	return true;
}

/* A hot page was not written. Returns whether it is hot still. */
static bool cool_down(struct rollback *r, struct zone *z, struct page *page)
{
	if (--page->heat >= PAGE_HOT)
		return true;
	page->heat = 0;
	z->hot--;
	r->stats.hot_pages--;
	return false;
}

bool restore_pages__put_back(struct rollback *r, struct zone *z, uint64_t at, bool compare)
{
	struct page *page = zone__page(z, at);
	const bool hot = page->heat >= PAGE_HOT, sentinel = zone__is_sentinel(r, z, at);
	const uint64_t from = zone__copy(z, at);

	if (compare || sentinel || (hot && (r->stats.rollbacks + at / PAGE_BYTES) % SAMPLE == 0)) {
		if (!(z->protection & PROT_READ))
			open_zone(z);
		if (bytes__same_page(at, from))
			return (hot && cool_down(r, z, page)) || sentinel;
	}
	restore_pages__copy(r, z, page, at, from);
	z->written++;
	return heat_up(r, z, page, at) || sentinel;
}

void restore_pages__flush(struct rollback *r, struct zone *z)
{
	if (r->cold.start < r->cold.end &&
	    pagemap__protect_all(&r->files->pagemap, r->cold.start, r->cold.end))
		z->lost = true;
	r->cold = (struct range){0, 0};
}

/* May the call that arms the runs before and behind [start, end) arm what lies between them, too?
 * A page that is stored and cold is clean: it is armed still, or was put back. */
static bool may_arm(const struct rollback *r, const struct zone *z, uint64_t start, uint64_t end)
{
	for (uint64_t at = start; at < end; at += PAGE_BYTES) {
		const struct page *page = zone__page(z, at);

		if ((page->kind & PAGE_KIND) != PAGE_STORED || page->heat >= PAGE_HOT ||
		    zone__is_sentinel(r, z, at))
			return false;
	}
	return true;
}

void restore_pages__rearm(struct rollback *r, struct zone *z, uint64_t start, uint64_t end)
{
	struct range *cold = &r->cold;

	if (start == end || !z->armed)
		return;
	if (cold->start == cold->end || start < cold->end || start > cold->end + GAP * PAGE_BYTES ||
	    !may_arm(r, z, cold->end, start)) {
		restore_pages__flush(r, z);
		cold->start = start;
	}
	cold->end = end;
}

void restore_pages__empty(struct rollback *r, struct zone *z, const struct page *page, uint64_t at)
{
	unsigned char now[PAGE_BYTES], empty[PAGE_BYTES];

	if (!z->file) {
		restore_pages__copy(r, z, page, at, 0);
		return;
	}
	open_zone(z);
	bytes__copy((uintptr_t)now, at, PAGE_BYTES);
	(void)give_back(at, at + PAGE_BYTES);
	bytes__copy((uintptr_t)empty, at, PAGE_BYTES);
	bytes__copy(at, (uintptr_t)now, PAGE_BYTES);
	restore_pages__copy(r, z, page, at, (uintptr_t)empty);
}

/* Empties the pages of [start, end) up to the first that is not PAGE_ABSENT, and returns where that
 * is. Such pages get hot, too: to clear one costs less than to give it back and take a new one. The
 * next write to a page that stays must be seen. */
static uint64_t discard(struct rollback *r, struct zone *z, uint64_t start, uint64_t end)
{
	uint64_t at = start, from = start;

	for (; at < end && (zone__page(z, at)->kind & PAGE_KIND) == PAGE_ABSENT; at += PAGE_BYTES) {
		struct page *page = zone__page(z, at);
		const bool excluded = page->kind & PAGE_EXCLUDED;
		bool hot;

		z->written++;
		hot = (excluded || !z->file) && heat_up(r, z, page, at);
		if (!excluded && !hot)
			continue;
		if (from < at)
			(void)give_back(from, at);
		from = at + PAGE_BYTES;
		restore_pages__empty(r, z, page, at);
		if (!hot)
			restore_pages__rearm(r, z, at, from);
	}
	/* Before Linux 5.18, a page that is locked stays. */
	if (from < at && !give_back(from, at))
		for (; from < at; from += PAGE_BYTES)
			restore_pages__copy(r, z, zone__page(z, from), from, 0);
	return at;
}

void restore_pages__restore_data(struct rollback *r, struct zone *z, const struct pagemap_run *run,
				 bool compare)
{
	uint64_t at = run->start, cold = at;

	while (at < run->end) {
		const int kind = zone__page(z, at)->kind & PAGE_KIND;

		if (kind == PAGE_STORED) {
			const bool hot = restore_pages__put_back(r, z, at, compare);

			at += PAGE_BYTES;
			if (!hot)
				continue;
			restore_pages__rearm(r, z, cold, at - PAGE_BYTES);
		} else {
			restore_pages__rearm(r, z, cold, at);
			if (kind == PAGE_GUARD) {
				at += PAGE_BYTES;
				(void)advise(at - PAGE_BYTES, at, MADV_GUARD_INSTALL);
			} else {
				at = discard(r, z, at, run->end);
			}
		}
		cold = at;
	}
	restore_pages__rearm(r, z, cold, run->end);
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

bool restore_pages__has_stored(const struct rollback *r, uint64_t start, uint64_t end)
{
	const struct range *x = find_run(r, start);

	return x < r->runs + r->run_count && x->start < end;
}

/* Pages that are not there, or are those of a file: some may have been stored. */
static void restore_absent(struct rollback *r, struct zone *z, const struct pagemap_run *run)
{
	const struct range *end = r->runs + r->run_count;

	if (run->categories & PAGEMAP_GUARD) {
		for (uint64_t at = run->start; at < run->end; at += PAGE_BYTES)
			if ((zone__page(z, at)->kind & PAGE_KIND) != PAGE_GUARD)
				(void)advise(at, at + PAGE_BYTES, MADV_GUARD_REMOVE);
	} else if (z->has_guards) {
		for (uint64_t at = run->start; at < run->end; at += PAGE_BYTES)
			if ((zone__page(z, at)->kind & PAGE_KIND) == PAGE_GUARD)
				(void)advise(at, at + PAGE_BYTES, MADV_GUARD_INSTALL);
	}
	for (const struct range *x = find_run(r, run->start); x < end && x->start < run->end; x++) {
		const uint64_t from = x->start > run->start ? x->start : run->start;
		const uint64_t to = x->end < run->end ? x->end : run->end;

		for (uint64_t at = from; at < to; at += PAGE_BYTES)
			(void)restore_pages__put_back(r, z, at, false);
		restore_pages__rearm(r, z, from, to);
	}
}

void restore_pages__restore_run(struct rollback *r, struct zone *z, const struct pagemap_run *run,
				bool all)
{
	const struct write_tracking *t = &r->files->tracking;
	/* The marker of an armed page of a file outlives it, and looks like swap. */
	const bool maybe_gone = z->file && !(run->categories & PAGEMAP_PRESENT);

	/* So does a guard, which Linux 6.13 and 6.14 do not tell apart. */
	if (!(run->categories & PAGEMAP_PRESENT) && !r->files->pagemap.knows_guards)
		(void)advise(run->start, run->end, MADV_GUARD_REMOVE);
	if (!(run->categories & ZONE_DATA) || (run->categories & (PAGEMAP_FILE | PAGEMAP_GUARD)))
		restore_absent(r, z, run);
	else if (all || maybe_gone || write_tracking__is_written(t, run))
		restore_pages__restore_data(r, z, run, all || maybe_gone);
	if (t->way == WRITE_TRACKING_PROTECT && !(run->categories & PAGEMAP_TRACKED))
		z->lost = true;
}

uint64_t restore_pages__more_categories(const struct rollback *r, const struct zone *z)
{
	return (z->file ? PAGEMAP_FILE : 0) | (r->files->pagemap.knows_guards ? PAGEMAP_GUARD : 0);
}

void restore_pages__close_zone(struct zone *z)
{
	if (z->opened)
		protect(z, z->protection);
	z->opened = false;
}
