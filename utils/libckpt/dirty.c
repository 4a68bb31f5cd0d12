/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See dirty.h. Write tracking is only asked about pages that hold data: a page that was given back
 * is neither in the image nor in its parent, whatever it was before.
 */
#include "libckpt/dirty.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/nocancel.h"
#include "image/image_reason.h"
#include "image/image_segmenter.h"
#include "own_memory/segments.h"
#include "own_memory/shm_holes.h"

/* If there are more runs of changed pages than an image can have segments, short gaps of unchanged
 * pages are written as well: gaps of one page, then of 8, 64 and so on. With the last, 16 MiB, the
 * 60,000 segments of an image reach over 900 GiB. */
enum {
	UNCHANGED_MAX = 1 << 20, /* runs of unchanged pages: 16 of the arena's 96 MiB */
	GAP_FACTOR = 8,
	GAPS_TRIED = 6, /* without gaps, and five sizes */
};

/* Are checksums kept for this mapping? With soft-dirty bits too: a huge page has one bit, which
 * says that some of its 512 pages may have been written. */
static bool is_summed(const struct dirty *dirty, const struct image_mapping *m)
{
	return segments__is_saved(m) &&
	       (!segments__is_anonymous(m) || dirty->tracking.way != WRITE_TRACKING_PROTECT);
}

int dirty__begin(struct dirty *dirty, const struct image *image)
{
	uint64_t pages = 0;
	size_t count = 0;
	int err;

	page_sums__free(&dirty->next);
	for (size_t i = 0; i < image->mapping_count; i++) {
		const struct image_mapping *m = &image->mappings[i];

		if (!is_summed(dirty, m))
			continue;
		pages += (m->end - m->start) / PAGE_BYTES;
		count++;
	}
	err = page_sums__make(count, pages, &dirty->next);
	if (err)
		return err;
	for (size_t i = 0; i < image->mapping_count; i++) {
		const struct image_mapping *m = &image->mappings[i];

		if (is_summed(dirty, m))
			page_sums__add(&dirty->next, m->start, m->end);
	}
	return 0;
}

/* ---- runs of pages, in address order ---- */

/* The increment that is being filled in. */
struct choice {
	struct dirty *dirty;
	struct own_memory *memory;
	struct image *image;
	const struct image_mapping *mapping;
	const char *strings;
	uint64_t gap;   /* so many unchanged bytes between two changed runs do not end a segment */
	bool only_sums; /* checksums are wanted, and no segments */
	size_t first_segment, first_run; /* of this mapping */
};

static int add_changed(struct choice *c, uint64_t start, uint64_t end)
{
	struct image *image = c->image;
	struct image_segment *last = &image->segments[image->segment_count - 1];

	if (image->segment_count == c->first_segment || start - last->end > c->gap)
		return image_segmenter__put(image, c->mapping, start, end, true);
	while (image->unchanged_count > c->first_run &&
	       image->unchanged[image->unchanged_count - 1].start >= last->end)
		image->unchanged_count--;
	last->end = end;
	last->bytes = last->end - last->start;
	return 0;
}

static int add_unchanged(struct choice *c, uint64_t start, uint64_t end)
{
	struct image *image = c->image;
	struct image_run *last = &image->unchanged[image->unchanged_count - 1];

	if (image->unchanged_count > c->first_run && last->end == start) {
		last->end = end;
		return 0;
	}
	if (image->unchanged_count == UNCHANGED_MAX)
		return -IMAGE_MANY_UNCHANGED;
	image->unchanged[image->unchanged_count++] = (struct image_run){start, end};
	return 0;
}

static int add_run(struct choice *c, uint64_t start, uint64_t end, bool changed)
{
	if (start == end || c->only_sums)
		return 0;
	return changed ? add_changed(c, start, end) : add_unchanged(c, start, end);
}

/* Notes the checksum of a page. Returns whether it has changed. */
static bool compare_page(struct choice *c, const void *page, uint64_t address)
{
	const uint64_t *old = page_sums__find(&c->dirty->old, address);
	uint64_t *next = page_sums__find(&c->dirty->next, address);
	uint64_t sum = page_sums__sum(page);

	if (next)
		*next = sum;
	return !old || *old != sum;
}

/* Compares the pages from start on; they can be read at pages. */
static int add_compared(struct choice *c, const unsigned char *pages, uint64_t start, size_t bytes)
{
	bool changed = compare_page(c, pages, start);
	uint64_t from = start;
	int err = 0;

	for (size_t at = PAGE_BYTES; at < bytes && !err; at += PAGE_BYTES) {
		if (compare_page(c, pages + at, start + at) == changed)
			continue;
		err = add_run(c, from, start + at, changed);
		from = start + at;
		changed = !changed;
	}
	return err ? err : add_run(c, from, start + bytes, changed);
}

static int compare_by_copy(struct choice *c, uint64_t start, uint64_t end)
{
	while (start < end) {
		size_t bytes = end - start < OWN_MEMORY_BLOCK ? end - start : OWN_MEMORY_BLOCK;
		int err = own_memory__copy(c->memory, start, bytes);

		if (err)
			return err;
		err = add_compared(c, c->memory->block, start, bytes);
		if (err)
			return err;
		start += bytes;
	}
	return 0;
}

/* Swapped out, or guards on a kernel that does not know them. A guard is neither changed nor
 * unchanged, but nothing. */
static int compare_absent(struct choice *c, uint64_t start, uint64_t end)
{
	int err = 0;

	for (; start < end && !err; start += PAGE_BYTES) {
		if (c->memory->pagemap->knows_guards || own_memory__can_read(c->memory, start))
			err = compare_by_copy(c, start, start + PAGE_BYTES);
	}
	return err;
}

static int compare(struct choice *c, uint64_t start, uint64_t end, bool present)
{
	if (!present)
		return compare_absent(c, start, end);
	if (c->mapping->flags & IMAGE_READ)
		return add_compared(c, (const void *)start, start, end - start); /* NOLINT */
	return compare_by_copy(c, start, end);
}

/* Copies the old checksums of pages that were not written. Returns where the first page is that has
 * none. */
static uint64_t keep_sums(struct choice *c, uint64_t start, uint64_t end)
{
	uint64_t at = start;

	for (; at < end; at += PAGE_BYTES) {
		const uint64_t *old = page_sums__find(&c->dirty->old, at);
		uint64_t *next = page_sums__find(&c->dirty->next, at);

		if (!old || !*old || !next)
			break;
		*next = *old;
	}
	return at;
}

/* Pages that were not written, by their soft-dirty bits; those without a checksum get one. */
static int keep_or_compare(struct choice *c, uint64_t start, uint64_t end, bool present)
{
	while (start < end) {
		uint64_t kept = keep_sums(c, start, end);
		int err = add_run(c, start, kept, false);

		if (err)
			return err;
		if (kept < end)
			err = compare(c, kept, kept + PAGE_BYTES, present);
		if (err)
			return err;
		start = kept + PAGE_BYTES;
	}
	return 0;
}

/* Pages that hold data. Unstable ones have changed, whatever the kernel says. */
static int choose_run(struct choice *c, const struct pagemap_run *run)
{
	const struct write_tracking *tracking = &c->dirty->tracking;
	const bool present = run->categories & PAGEMAP_PRESENT;
	const bool written = write_tracking__is_written(tracking, run);
	bool unstable;
	int err = 0;

	for (uint64_t start = run->start, end; start < run->end && !err; start = end) {
		end = own_memory__alike_end(c->memory, start, run->end, &unstable);
		if (unstable)
			err = add_run(c, start, end, true);
		else if (tracking->way == WRITE_TRACKING_PROTECT)
			err = add_run(c, start, end, written);
		else if (written)
			err = compare(c, start, end, present);
		else
			err = keep_or_compare(c, start, end, present);
	}
	return err;
}

static int choose_anonymous(struct choice *c)
{
	const struct image_mapping *m = c->mapping;
	struct pagemap *pagemap = c->memory->pagemap;
	struct pagemap_run run;
	int more, err;

	pagemap__begin(pagemap, m->start, m->end, write_tracking__categories(&c->dirty->tracking));
	while ((more = pagemap__next(pagemap, &run)) > 0) {
		err = choose_run(c, &run);
		if (err)
			return err;
	}
	return more;
}

/* A hole is neither changed nor unchanged. */
static int compare_shared(struct choice *c, uint64_t start, uint64_t end)
{
	struct shm_holes holes;
	struct image_run run;
	int err = 0;

	shm_holes__open(&holes, c->mapping, c->strings);
	while (!err && shm_holes__next(&holes, start, end, &run)) {
		err = compare_by_copy(c, run.start, run.end);
		start = run.end;
	}
	shm_holes__close(&holes);
	return err;
}

static int choose_other(struct choice *c)
{
	const struct image_mapping *m = c->mapping;
	uint64_t end = own_memory__readable_end(c->memory, m);
	int err;

	if (own_memory__is_unstable(c->memory, m))
		err = add_run(c, m->start, end, true);
	else
		err = compare_shared(c, m->start, end);
	if (err || end == m->end || c->only_sums)
		return err;
	return segments__add_missing(c->image, end, m->end);
}

static int choose_mapping(struct choice *c)
{
	return segments__is_anonymous(c->mapping) ? choose_anonymous(c) : choose_other(c);
}

static int choose_with_gap(struct dirty *dirty, struct own_memory *memory, struct image *image,
			   uint64_t gap)
{
	struct choice c = {.dirty = dirty,
			   .memory = memory,
			   .image = image,
			   .strings = image->strings,
			   .gap = gap};
	int err = 0;

	image->segment_count = image->unchanged_count = image->missing_count = 0;
	for (size_t i = 0; i < image->mapping_count && !err; i++) {
		c.mapping = &image->mappings[i];
		c.first_segment = image->segment_count;
		c.first_run = image->unchanged_count;
		if (segments__is_saved(c.mapping))
			err = choose_mapping(&c);
	}
	return err;
}

bool dirty__is_scattered(int err)
{
	return err == -IMAGE_MANY_SEGMENTS || err == -IMAGE_MANY_UNCHANGED;
}

int dirty__choose(struct dirty *dirty, struct own_memory *memory, struct image *image,
		  struct arena *arena)
{
	int err = segments__make_room(image, arena);
	uint64_t gap = 0;

	image->unchanged = arena__take(arena, UNCHANGED_MAX * sizeof(*image->unchanged));
	if (err || !image->unchanged)
		return -ENOMEM;
	/* Too many small runs become fewer larger ones. */
	for (unsigned int i = 0; i < GAPS_TRIED; i++) {
		err = choose_with_gap(dirty, memory, image, gap);
		if (!dirty__is_scattered(err))
			break;
		gap = gap ? gap * GAP_FACTOR : PAGE_BYTES;
	}
	return err;
}

int dirty__note_sums(struct dirty *dirty, struct own_memory *memory, const struct image *image)
{
	struct choice c = {
		.dirty = dirty, .memory = memory, .strings = image->strings, .only_sums = true};
	int err = 0;

	for (size_t i = 0; i < image->mapping_count && !err; i++) {
		c.mapping = &image->mappings[i];
		if (is_summed(dirty, c.mapping))
			err = choose_mapping(&c);
	}
	return err;
}

/* ---- write tracking ---- */

static void open_tracking(struct write_tracking *tracking)
{
	/* In memory of its own: it is too large for a stack, and is needed once. */
	struct pagemap *pagemap = mmap(NULL, sizeof(*pagemap), PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = nocancel__open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC, 0);

	*tracking = (struct write_tracking)WRITE_TRACKING_OFF;
	if (pagemap != MAP_FAILED && fd >= 0) {
		pagemap__init(pagemap, fd);
		write_tracking__open(tracking, pagemap);
	}
	if (fd >= 0)
		(void)nocancel__close(fd);
	if (pagemap != MAP_FAILED)
		(void)munmap(pagemap, sizeof(*pagemap));
}

void dirty__open(struct dirty *dirty)
{
	if (dirty->owner == getpid())
		return;
	if (dirty->owner) {
		write_tracking__close(&dirty->tracking);
		dirty__forget(dirty);
	}
	dirty->owner = getpid();
	dirty->has_watched = true;
	open_tracking(&dirty->tracking);
}

bool dirty__stop_watching(struct dirty *dirty)
{
	return dirty->owner == getpid() && write_tracking__let_go(&dirty->tracking);
}

bool dirty__has_watched(const struct dirty *dirty)
{
	return dirty->has_watched;
}

static int arm_all(const struct dirty *dirty, const struct pagemap *pagemap,
		   const struct image *image)
{
	int err = write_tracking__begin_round(&dirty->tracking);

	for (size_t i = 0; i < image->mapping_count && !err; i++) {
		const struct image_mapping *m = &image->mappings[i];

		if (segments__is_saved(m) && segments__is_anonymous(m))
			(void)write_tracking__arm(&dirty->tracking, pagemap, m->start, m->end);
	}
	return err;
}

void dirty__commit(struct dirty *dirty, const struct own_memory *memory, const struct image *image)
{
	page_sums__free(&dirty->old);
	dirty->old = dirty->next;
	dirty->next = (struct page_sums){0};
	if (arm_all(dirty, memory->pagemap, image) == 0)
		return;
	/* The program has closed the userfaultfd, as daemons close all files. */
	open_tracking(&dirty->tracking);
	if (arm_all(dirty, memory->pagemap, image)) {
		/* From now on by checksums; there are none of anonymous memory yet. */
		dirty->tracking = (struct write_tracking)WRITE_TRACKING_OFF;
	}
}

void dirty__abort(struct dirty *dirty)
{
	page_sums__free(&dirty->next);
}

void dirty__forget(struct dirty *dirty)
{
	page_sums__free(&dirty->old);
	page_sums__free(&dirty->next);
	dirty->owner = 0;
}

static void add_own(struct image_run *own, size_t *count, const struct page_sums *table)
{
	if (table->base)
		own[(*count)++] = (struct image_run){(uintptr_t)table->base,
						     (uintptr_t)table->base + table->bytes};
}

size_t dirty__own(const struct dirty *dirty, struct image_run own[2])
{
	size_t count = 0;

	add_own(own, &count, &dirty->old);
	add_own(own, &count, &dirty->next);
	return count;
}
