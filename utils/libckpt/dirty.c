/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See dirty.h. What the kernel says is only believed for pages that are there: a page that was
 * given back has no data, whatever it was before, and is neither in the image nor in its parent.
 * Source: mm/soft-dirty.rst, userfaultfd(2), and PAGEMAP_SCAN in mm/pagemap.rst.
 */
#include "libckpt/dirty.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/nocancel.h"
#include "libckpt/shm_holes.h"

/* linux/userfaultfd.h of 6.7 */
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#define FEATURE_WP_UNPOPULATED (1ULL << 13)
#define FEATURE_WP_ASYNC       (1ULL << 15)

enum {
	UNCHANGED_MAX = 1 << 20,
	UFFD_NUMBER = 700, /* out of the way of the program's own files */
	GAP_FACTOR = 8,
	GAPS_TRIED = 6,
};

/* ---- checksums of pages ---- */

/* Four lanes, so that the multiplications overlap. Never 0. */
static uint64_t sum_page(const void *page)
{
	const uint64_t *words = page, prime = 0x9e3779b97f4a7c15;
	uint64_t a = 1, b = 2, c = 3, d = 4;

	for (size_t i = 0; i < PAGE_BYTES / sizeof(*words); i += 4) {
		a = (a ^ words[i]) * prime;
		b = (b ^ words[i + 1]) * prime;
		c = (c ^ words[i + 2]) * prime;
		d = (d ^ words[i + 3]) * prime;
		a ^= a >> 29;
		b ^= b >> 29;
		c ^= c >> 29;
		d ^= d >> 29;
	}
	a = (a ^ b >> 7) * prime + (c ^ d >> 11) * (prime + 2);
	a ^= (b * prime) ^ (d >> 3);
	return (a ^ a >> 32) | 1;
}

static void drop_table(struct dirty_table *table)
{
	if (table->base)
		(void)munmap(table->base, table->bytes);
	*table = (struct dirty_table){0};
}

/* The place of an address's checksum, or NULL. */
static uint64_t *find_sum(const struct dirty_table *table, uint64_t address)
{
	size_t low = 0, high = table->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (table->entries[middle].end > address)
			high = middle;
		else
			low = middle + 1;
	}
	if (low == table->count || address < table->entries[low].start)
		return NULL;
	return &table->sums[table->entries[low].first +
			    (address - table->entries[low].start) / PAGE_BYTES];
}

/* Are checksums kept for this mapping? The kernel has one soft-dirty bit for a huge page, so what
 * it says there is that some of the 512 pages may have been written. */
static int is_summed(const struct dirty *dirty, const struct image_mapping *m)
{
	return page_writer__is_saved(m) &&
	       (!page_writer__is_anonymous(m) || dirty->tracking != PAGEMAP_UFFD);
}

int dirty__begin(struct dirty *dirty, const struct image *image)
{
	struct dirty_table *table = &dirty->young;
	uint64_t pages = 0;
	size_t entries = 0, head;
	void *base;

	drop_table(table);
	for (size_t i = 0; i < image->mapping_count; i++) {
		const struct image_mapping *m = &image->mappings[i];

		if (is_summed(dirty, m)) {
			pages += (m->end - m->start) / PAGE_BYTES;
			entries++;
		}
	}
	head = entries * sizeof(*table->entries);
	table->bytes = page__start(head + pages * sizeof(uint64_t) + PAGE_BYTES);
	base = mmap(NULL, table->bytes, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return -ENOMEM;
	table->base = base;
	table->entries = base;
	table->sums = (uint64_t *)(table->base + head);
	pages = 0;
	for (size_t i = 0; i < image->mapping_count; i++) {
		const struct image_mapping *m = &image->mappings[i];

		if (!is_summed(dirty, m))
			continue;
		table->entries[table->count++] = (struct dirty_entry){m->start, m->end, pages};
		pages += (m->end - m->start) / PAGE_BYTES;
	}
	return 0;
}

/* ---- runs of pages, one after the other ---- */

/* What is being planned. */
struct planning {
	struct dirty *dirty;
	struct page_writer *pages;
	struct image *image;
	const struct image_mapping *mapping;
	const char *strings;
	uint64_t gap;  /* so many bytes between two changed runs do not end a segment */
	int only_sums; /* checksums are wanted, no plan */
	size_t first_segment, first_run; /* of this mapping */
};

static int add_changed(struct planning *p, uint64_t start, uint64_t end)
{
	struct image *image = p->image;
	struct image_segment *last = &image->segments[image->segment_count - 1];

	if (image->segment_count > p->first_segment && start - last->end <= p->gap) {
		while (image->unchanged_count > p->first_run &&
		       image->unchanged[image->unchanged_count - 1].start >= last->end)
			image->unchanged_count--;
		last->end = end;
		last->bytes = last->end - last->start;
		return 0;
	}
	return page_writer__add_segment(image, p->mapping, start, end, 1);
}

static int add_unchanged(struct planning *p, uint64_t start, uint64_t end)
{
	struct image *image = p->image;
	struct image_run *last = &image->unchanged[image->unchanged_count - 1];

	if (image->unchanged_count > p->first_run && last->end == start) {
		last->end = end;
		return 0;
	}
	if (image->unchanged_count == UNCHANGED_MAX)
		return -EFBIG;
	image->unchanged[image->unchanged_count++] = (struct image_run){start, end};
	return 0;
}

static int add_run(struct planning *p, uint64_t start, uint64_t end, int changed)
{
	if (start == end || p->only_sums)
		return 0;
	return changed ? add_changed(p, start, end) : add_unchanged(p, start, end);
}

/* Compares pages that can be read with their checksums, and keeps the new ones. */
static int add_compared(struct planning *p, const unsigned char *pages, uint64_t start,
			size_t bytes)
{
	uint64_t from = start;
	int before = -1, err = 0;

	for (size_t at = 0; at < bytes && !err; at += PAGE_BYTES) {
		const uint64_t *old = find_sum(&p->dirty->old, start + at);
		uint64_t *young = find_sum(&p->dirty->young, start + at);
		uint64_t sum = sum_page(pages + at);
		int changed = !old || *old != sum;

		if (young)
			*young = sum;
		if (changed != before && before >= 0) {
			err = add_run(p, from, start + at, before);
			from = start + at;
		}
		before = changed;
	}
	return err ? err : add_run(p, from, start + bytes, before);
}

/* The same for memory that goes through the block. */
static int compare_by_copy(struct planning *p, uint64_t start, uint64_t end)
{
	int err = 0;

	while (start < end && !err) {
		size_t part = end - start < BLOCK_BYTES ? (size_t)(end - start) : BLOCK_BYTES;

		err = page_writer__copy(p->pages, start, part);
		if (!err)
			err = add_compared(p, p->pages->block, start, part);
		start += part;
	}
	return err;
}

/* Swapped out. Page by page, for each may be a guard, which is neither changed nor unchanged, but
 * nothing. */
static int compare_absent(struct planning *p, uint64_t start, uint64_t end)
{
	int err = 0;

	for (; start < end && !err; start += PAGE_BYTES) {
		if (p->pages->pagemap->knows_guards || page_writer__can_read(p->pages, start))
			err = compare_by_copy(p, start, start + PAGE_BYTES);
	}
	return err;
}

static int compare(struct planning *p, uint64_t start, uint64_t end, int present)
{
	if (!present)
		return compare_absent(p, start, end);
	if (p->mapping->flags & IMAGE_READ)
		return add_compared(p, (const void *)start, start, end - start); /* NOLINT */
	return compare_by_copy(p, start, end);
}

/* Where the pages end, from start on, that have a checksum, which stays the same. */
static uint64_t keep_sums(struct planning *p, uint64_t start, uint64_t end)
{
	uint64_t at = start;

	for (; at < end; at += PAGE_BYTES) {
		const uint64_t *old = find_sum(&p->dirty->old, at);
		uint64_t *young = find_sum(&p->dirty->young, at);

		if (!old || !*old || !young)
			break;
		*young = *old;
	}
	return at;
}

/* Pages that were not written, by their soft-dirty bits; what has no checksum gets one. */
static int keep_or_compare(struct planning *p, uint64_t start, uint64_t end, int present)
{
	int err = 0;

	while (start < end && !err) {
		uint64_t kept = keep_sums(p, start, end);

		err = add_run(p, start, kept, 0);
		if (!err && kept < end)
			err = compare(p, kept, kept + PAGE_BYTES, present);
		start = kept + PAGE_BYTES;
	}
	return err;
}

/* Pages that were used; those that move have changed, whatever the kernel says. */
static int plan_used(struct planning *p, const struct pagemap_run *run)
{
	const enum pagemap_tracking tracking = p->dirty->tracking;
	int moving, err = 0;

	for (uint64_t start = run->start, end; start < run->end && !err; start = end) {
		end = page_writer__part(p->pages, start, run->end, &moving);
		if (moving)
			err = add_run(p, start, end, 1);
		else if (tracking == PAGEMAP_UFFD)
			err = add_run(p, start, end, run->written != 0);
		else if (tracking == PAGEMAP_SOFT_DIRTY && !run->written)
			err = keep_or_compare(p, start, end, run->present);
		else
			err = compare(p, start, end, run->present);
	}
	return err;
}

static int plan_anonymous(struct planning *p)
{
	const struct image_mapping *m = p->mapping;
	struct pagemap_run run;
	int more = 0, err = 0;

	pagemap__begin(p->pages->pagemap, m->start, m->end);
	while (!err && (more = pagemap__next(p->pages->pagemap, &run)) > 0)
		err = plan_used(p, &run);
	return more < 0 ? more : err;
}

/* What is a hole is neither changed nor unchanged. */
static int compare_shared(struct planning *p, uint64_t start, uint64_t end)
{
	struct shm_holes holes;
	struct image_run run;
	int err = 0;

	shm_holes__open(&holes, p->mapping, p->strings);
	while (!err && shm_holes__next(&holes, start, end, &run)) {
		err = compare_by_copy(p, run.start, run.end);
		start = run.end;
	}
	shm_holes__close(&holes);
	return err;
}

static int plan_other(struct planning *p)
{
	const struct image_mapping *m = p->mapping;
	uint64_t end = m->start + page_writer__readable(p->pages, m);
	int err;

	if (page_writer__is_moving(p->pages, m))
		err = add_run(p, m->start, end, 1);
	else
		err = compare_shared(p, m->start, end);
	if (!err && end < m->end && !p->only_sums)
		err = page_writer__add_missing(p->image, end, m->end);
	return err;
}

static int plan_with_gap(struct dirty *dirty, struct page_writer *pages, struct image *image,
			 uint64_t gap)
{
	struct planning p = {.dirty = dirty,
			     .pages = pages,
			     .image = image,
			     .strings = image->strings,
			     .gap = gap};
	int err = 0;

	image->segment_count = image->unchanged_count = image->missing_count = 0;
	for (size_t i = 0; i < image->mapping_count && !err; i++) {
		p.mapping = &image->mappings[i];
		p.first_segment = image->segment_count;
		p.first_run = image->unchanged_count;
		if (!page_writer__is_saved(p.mapping))
			continue;
		err = page_writer__is_anonymous(p.mapping) ? plan_anonymous(&p) : plan_other(&p);
	}
	return err;
}

int dirty__plan(struct dirty *dirty, struct page_writer *pages, struct image *image)
{
	uint64_t gap = 0;
	int err = page_writer__make_room(pages, image);

	image->unchanged = arena__take(pages->arena, UNCHANGED_MAX * sizeof(*image->unchanged));
	if (err || !image->unchanged)
		return -ENOMEM;
	/* Too many small runs become fewer larger ones. */
	for (unsigned int i = 0; i < GAPS_TRIED; i++) {
		err = plan_with_gap(dirty, pages, image, gap);
		if (err != -EFBIG)
			return err;
		gap = gap ? gap * GAP_FACTOR : PAGE_BYTES;
	}
	return err;
}

int dirty__note(struct dirty *dirty, struct page_writer *pages, const struct image *image)
{
	struct planning p = {
		.dirty = dirty, .pages = pages, .strings = image->strings, .only_sums = 1};
	int err = 0;

	for (size_t i = 0; i < image->mapping_count && !err; i++) {
		p.mapping = &image->mappings[i];
		if (is_summed(dirty, p.mapping))
			err = page_writer__is_anonymous(p.mapping) ? plan_anonymous(&p)
								   : plan_other(&p);
	}
	return err;
}

/* ---- the kernel's part ---- */

static int open_uffd(void)
{
	struct uffdio_api api = {.api = UFFD_API,
				 .features = FEATURE_WP_ASYNC | FEATURE_WP_UNPOPULATED};
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
	int moved;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, UFFDIO_API, &api) < 0) {
		(void)nocancel__close(fd);
		return -EOPNOTSUPP;
	}
	moved = (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, UFFD_NUMBER);
	if (moved < 0)
		return fd; /* few file numbers are allowed */
	(void)nocancel__close(fd);
	return moved;
}

/* The program may have closed it, and the number may be of another file. */
static int is_uffd(int fd)
{
	static const char expected[] = "anon_inode:[userfaultfd]";
	char path[32] = "/proc/self/fd/", text[sizeof(expected)], digits[12];
	size_t i = sizeof(digits), length = strlen(path);
	ssize_t n;

	if (fd < 0)
		return 0;
	digits[--i] = '\0';
	do {
		digits[--i] = (char)('0' + fd % 10);
		fd /= 10;
	} while (fd);
	memcpy(path + length, digits + i, sizeof(digits) - i);
	n = readlink(path, text, sizeof(text));
	return n == (ssize_t)sizeof(expected) - 1 && memcmp(text, expected, (size_t)n) == 0;
}

/* Clears the soft-dirty bits of this process. */
static int clear_soft_dirty(void)
{
	int fd = nocancel__open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC, 0), err = 0;

	if (fd < 0)
		return -errno;
	if (nocancel__write(fd, "4", 1) != 1)
		err = -errno;
	(void)nocancel__close(fd);
	return err;
}

/* The bit is always clear on a kernel without it: write, and look. */
static int has_soft_dirty(void)
{
	static volatile unsigned char page[2 * PAGE_BYTES];
	uint64_t address = page__round_up((uintptr_t)page), entry = 0;
	int fd, found;

	page[address - (uintptr_t)page] = 1;
	fd = nocancel__open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC, 0);
	found = fd >= 0 &&
		nocancel__read_at(fd, &entry, sizeof(entry),
				  (off_t)(address / PAGE_BYTES * sizeof(entry))) ==
			(ssize_t)sizeof(entry) &&
		(entry >> 55 & 1);
	if (fd >= 0)
		(void)nocancel__close(fd);
	return found && clear_soft_dirty() == 0;
}

void dirty__open(struct dirty *dirty)
{
	if (dirty->owner == getpid())
		return;
	if (dirty->owner) {
		dirty__forget(dirty);
		if (is_uffd(dirty->uffd))
			(void)nocancel__close(dirty->uffd);
	}
	dirty->owner = getpid();
	dirty->tracking = PAGEMAP_NONE;
	dirty->uffd = open_uffd();
	if (dirty->uffd >= 0)
		dirty->tracking = PAGEMAP_UFFD;
	else if (has_soft_dirty())
		dirty->tracking = PAGEMAP_SOFT_DIRTY;
}

/* Registers a mapping and protects its pages. Where that fails (a mapping of another userfaultfd,
 * a kind that cannot be) its pages count as written for ever. */
static void protect(int uffd, struct pagemap *pagemap, const struct image_mapping *m)
{
	struct uffdio_register range = {.range = {.start = m->start, .len = m->end - m->start},
					.mode = UFFDIO_REGISTER_MODE_WP};

	if (ioctl(uffd, UFFDIO_REGISTER, &range) == 0)
		pagemap__protect(pagemap, m->start, m->end);
}

static int start_tracking(struct dirty *dirty, const struct image *image)
{
	static struct pagemap pagemap; /* too large for a stack */

	if (dirty->tracking == PAGEMAP_NONE)
		return 0;
	if (dirty->tracking == PAGEMAP_SOFT_DIRTY)
		return clear_soft_dirty();
	if (!is_uffd(dirty->uffd))
		return -EBADF;
	if (pagemap__open(&pagemap, PAGEMAP_UFFD))
		return -EBADF;
	for (size_t i = 0; i < image->mapping_count; i++) {
		const struct image_mapping *m = &image->mappings[i];

		if (page_writer__is_saved(m) && page_writer__is_anonymous(m))
			protect(dirty->uffd, &pagemap, m);
	}
	pagemap__close(&pagemap);
	return 0;
}

void dirty__commit(struct dirty *dirty, const struct image *image)
{
	drop_table(&dirty->old);
	dirty->old = dirty->young;
	dirty->young = (struct dirty_table){0};
	if (start_tracking(dirty, image)) {
		/* No more help from the kernel: checksums, of which there are none yet. */
		dirty->uffd = -1;
		dirty->tracking = PAGEMAP_NONE;
	}
}

void dirty__abort(struct dirty *dirty)
{
	drop_table(&dirty->young);
}

void dirty__forget(struct dirty *dirty)
{
	drop_table(&dirty->old);
	drop_table(&dirty->young);
	dirty->owner = 0;
}

static void add_own(struct image_run *own, size_t *count, const struct dirty_table *table)
{
	if (table->base)
		own[(*count)++] = (struct image_run){(uintptr_t)table->base,
						     (uintptr_t)table->base + table->bytes};
}

size_t dirty__own(const struct dirty *dirty, struct image_run own[2])
{
	size_t count = 0;

	add_own(own, &count, &dirty->old);
	add_own(own, &count, &dirty->young);
	return count;
}
