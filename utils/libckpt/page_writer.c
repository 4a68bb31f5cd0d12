/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See page_writer.h. Private anonymous memory is written as it lies, straight from its pages, and
 * pages that were never used are not touched. Everything else goes through a block: memory of
 * files, whose pages may be beyond the end of the file, memory without read permission, pages that
 * are not there at the moment, which may be guards, and pages that change meanwhile: their checksum
 * must be that of the bytes that were written.
 */
#include "libckpt/page_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/nocancel.h"
#include "libckpt/shm_holes.h"

enum {
	GAP_BYTES = 16 << 20, /* from there on, pages that were never used end a segment */
	MISSING_MAX = IMAGE_SEGMENTS_MAX,
};

static int open_files(struct page_writer *c, enum pagemap_tracking tracking)
{
	int err = pagemap__open(c->pagemap, tracking);

	if (err)
		return err;
	c->mem_fd = nocancel__open("/proc/self/mem", O_RDONLY | O_CLOEXEC, 0);
	return c->mem_fd < 0 ? -errno : 0;
}

int page_writer__open(struct page_writer *c, struct arena *arena, const struct image_run *moving,
		      size_t moving_count, enum pagemap_tracking tracking)
{
	*c = (struct page_writer){
		.arena = arena, .moving = moving, .moving_count = moving_count, .mem_fd = -1};
	c->block = arena__take(arena, BLOCK_BYTES + PAGE_BYTES);
	c->pagemap = arena__take(arena, sizeof(*c->pagemap));
	if (!c->block || !c->pagemap)
		return -ENOMEM;
	c->pagemap->fd = -1;
	return open_files(c, tracking);
}

int page_writer__reopen(struct page_writer *c)
{
	enum pagemap_tracking tracking = c->pagemap->tracking;

	page_writer__close(c);
	return open_files(c, tracking);
}

void page_writer__close(struct page_writer *c)
{
	if (c->pagemap)
		pagemap__close(c->pagemap);
	if (c->mem_fd >= 0)
		(void)nocancel__close(c->mem_fd);
	c->mem_fd = -1;
}

/* ---- planning ---- */

int page_writer__is_saved(const struct image_mapping *mapping)
{
	return !(mapping->flags & (IMAGE_VVAR | IMAGE_VSYSCALL | IMAGE_SCRATCH));
}

int page_writer__is_anonymous(const struct image_mapping *mapping)
{
	return !(mapping->flags & (IMAGE_SHARED | IMAGE_FILE | IMAGE_VDSO)) && mapping->inode == 0;
}

int page_writer__can_read(const struct page_writer *c, uint64_t address)
{
	char byte;

	return nocancel__read_at(c->mem_fd, &byte, 1, (off_t)address) == 1;
}

/* Pages beyond the end of a file are at the end of a mapping; of a device nothing can be read. */
uint64_t page_writer__readable(const struct page_writer *c, const struct image_mapping *m)
{
	uint64_t low = 0, high = (m->end - m->start) / PAGE_BYTES; /* low pages can be read */

	if (page_writer__can_read(c, m->end - PAGE_BYTES))
		return m->end - m->start;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (page_writer__can_read(c, m->start + middle * PAGE_BYTES))
			low = middle + 1;
		else
			high = middle;
	}
	return low * PAGE_BYTES;
}

int page_writer__make_room(struct page_writer *c, struct image *image)
{
	image->segments = arena__take(c->arena, IMAGE_SEGMENTS_MAX * sizeof(*image->segments));
	image->missing = arena__take(c->arena, MISSING_MAX * sizeof(*image->missing));
	return image->segments && image->missing ? 0 : -ENOMEM;
}

int page_writer__add_segment(struct image *image, const struct image_mapping *mapping,
			     uint64_t start, uint64_t end, int has_bytes)
{
	if (start == end)
		return 0;
	if (image->segment_count == IMAGE_SEGMENTS_MAX)
		return -EFBIG;
	image->segments[image->segment_count++] = (struct image_segment){
		.start = start,
		.end = end,
		.bytes = has_bytes ? end - start : 0,
		.flags = mapping->flags & (IMAGE_READ | IMAGE_WRITE | IMAGE_EXEC),
	};
	return 0;
}

int page_writer__add_missing(struct image *image, uint64_t start, uint64_t end)
{
	if (image->missing_count == MISSING_MAX)
		return -EFBIG;
	image->missing[image->missing_count++] = (struct image_run){start, end};
	image->info.missing |= IMAGE_MISSING_PAGES;
	return 0;
}

/* Segments from the first page that was ever used to the last, but for large gaps between. */
static int plan_anonymous(struct page_writer *c, struct image *image, const struct image_mapping *m)
{
	uint64_t start = m->start, end = m->start; /* the segment being gathered */
	struct pagemap_run run;
	int more, err = 0;

	pagemap__begin(c->pagemap, m->start, m->end);
	while (!err && (more = pagemap__next(c->pagemap, &run)) != 0) {
		if (more < 0)
			return more;
		if (run.start - end >= GAP_BYTES) {
			err = page_writer__add_segment(image, m, start, end, 1);
			if (!err)
				err = page_writer__add_segment(image, m, end, run.start, 0);
			start = run.start;
		}
		end = run.end;
	}
	if (!err && end == start) /* nothing was ever used */
		return page_writer__add_segment(image, m, start, m->end, 0);
	if (!err && m->end - end < GAP_BYTES)
		end = m->end;
	if (!err)
		err = page_writer__add_segment(image, m, start, end, 1);
	return err ? err : page_writer__add_segment(image, m, end, m->end, 0);
}

static int plan_other(struct page_writer *c, struct image *image, const struct image_mapping *m)
{
	uint64_t end = m->start + page_writer__readable(c, m);
	int err = page_writer__add_segment(image, m, m->start, end, 1);

	if (!err && end < m->end)
		err = page_writer__add_missing(image, end, m->end);
	return err ? err : page_writer__add_segment(image, m, end, m->end, 0);
}

int page_writer__plan_full(struct page_writer *c, struct image *image)
{
	int err = page_writer__make_room(c, image);

	for (size_t i = 0; i < image->mapping_count && !err; i++) {
		const struct image_mapping *m = &image->mappings[i];

		if (!page_writer__is_saved(m))
			err = page_writer__add_segment(image, m, m->start, m->end, 0);
		else if (page_writer__is_anonymous(m))
			err = plan_anonymous(c, image, m);
		else
			err = plan_other(c, image, m);
	}
	return err;
}

/* ---- writing ---- */

int page_writer__copy(struct page_writer *c, uint64_t start, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		ssize_t n = nocancel__read_at(c->mem_fd, c->block + done, bytes - done,
					      (off_t)(start + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EIO;
		done += (size_t)n;
	}
	return 0;
}

/* Through the block. */
static int write_by_copy(struct page_writer *c, struct image_writer *w, uint64_t start,
			 uint64_t end)
{
	int err = 0;

	while (start < end && !err) {
		size_t part = end - start < BLOCK_BYTES ? (size_t)(end - start) : BLOCK_BYTES;

		err = page_writer__copy(c, start, part);
		if (err) {
			w->step = "memory became unreadable while writing";
			return err;
		}
		err = image_writer__pages(w, c->block, part);
		start += part;
	}
	return err;
}

static int write_directly(struct image_writer *w, uint64_t start, uint64_t end)
{
	int err = 0;

	while (start < end && !err) {
		size_t part = end - start < BLOCK_BYTES ? (size_t)(end - start) : BLOCK_BYTES;

		err = image_writer__pages(w, (const void *)start, part); /* NOLINT: our memory */
		start += part;
	}
	return err;
}

int page_writer__is_moving(const struct page_writer *c, const struct image_mapping *m)
{
	for (size_t i = 0; i < c->moving_count; i++) {
		if (c->moving[i].start < m->end && m->start < c->moving[i].end)
			return 1;
	}
	return 0;
}

uint64_t page_writer__part(const struct page_writer *c, uint64_t start, uint64_t end,
			   int *ret_moving)
{
	*ret_moving = 0;
	for (size_t i = 0; i < c->moving_count; i++) {
		const struct image_run *run = &c->moving[i];

		if (run->start <= start && start < run->end) {
			*ret_moving = 1;
			return run->end < end ? run->end : end;
		}
		if (start < run->start && run->start < end)
			end = run->start;
	}
	return end;
}

/* Swapped out. Page by page, for each may be a guard, which has no contents and
 * comes back as zeros. */
static int write_absent(struct page_writer *c, struct image_writer *w,
			const struct pagemap_run *run)
{
	int err = 0;

	for (uint64_t at = run->start; at < run->end && !err; at += PAGE_BYTES) {
		err = page_writer__copy(c, at, PAGE_BYTES);
		if (!err) {
			err = image_writer__pages(w, c->block, PAGE_BYTES);
		} else if (!c->pagemap->knows_guards) {
			err = image_writer__zeros(w, PAGE_BYTES);
		} else {
			w->step = "memory became unreadable while writing";
		}
	}
	return err;
}

/* Pages that were used, of a mapping that can be read directly or not. */
static int write_used(struct page_writer *c, struct image_writer *w, const struct pagemap_run *run,
		      int direct)
{
	int moving, err = 0;

	if (!run->present)
		return write_absent(c, w, run);
	for (uint64_t start = run->start, end; start < run->end && !err; start = end) {
		end = page_writer__part(c, start, run->end, &moving);
		err = direct && !moving ? write_directly(w, start, end)
					: write_by_copy(c, w, start, end);
	}
	return err;
}

/* Pages that were never used are zeros, and stay unused. */
static int write_anonymous(struct page_writer *c, struct image_writer *w,
			   const struct image_segment *s, int direct)
{
	uint64_t at = s->start;
	struct pagemap_run run;
	int more = 0, err = 0;

	pagemap__begin(c->pagemap, s->start, s->end);
	while (!err && (more = pagemap__next(c->pagemap, &run)) > 0) {
		if (run.start > at)
			err = image_writer__zeros(w, run.start - at);
		if (!err)
			err = write_used(c, w, &run, direct);
		c->written_bytes += run.end - run.start;
		at = run.end;
	}
	if (more < 0)
		err = more;
	if (!err && at < s->end)
		err = image_writer__zeros(w, s->end - at);
	return err;
}

/* A segment that is no private anonymous memory. Holes of shared memory stay holes. */
static int write_other(struct page_writer *c, struct image_writer *w, const struct image *image,
		       const struct image_mapping *m, const struct image_segment *s)
{
	struct shm_holes holes;
	struct image_run run;
	uint64_t at = s->start;
	int err = 0;

	shm_holes__open(&holes, m, image->strings);
	while (!err && shm_holes__next(&holes, at, s->end, &run)) {
		if (run.start > at)
			err = image_writer__zeros(w, run.start - at);
		if (!err)
			err = write_by_copy(c, w, run.start, run.end);
		c->written_bytes += run.end - run.start;
		at = run.end;
	}
	shm_holes__close(&holes);
	if (!err && at < s->end)
		err = image_writer__zeros(w, s->end - at);
	return err;
}

int page_writer__write(struct page_writer *c, struct image_writer *w, const struct image *image)
{
	const struct image_mapping *m = image->mappings;
	int err = 0;

	for (size_t i = 0; i < image->segment_count && !err; i++) {
		const struct image_segment *s = &image->segments[i];

		while (m->end <= s->start)
			m++;
		if (!s->bytes)
			continue;
		if (page_writer__is_anonymous(m))
			err = write_anonymous(c, w, s, (m->flags & IMAGE_READ) != 0);
		else
			err = write_other(c, w, image, m, s);
	}
	return err;
}
