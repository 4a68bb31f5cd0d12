/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See page_writer.h. Private anonymous memory is written straight from its pages, and pages that
 * hold no data are not touched. The rest goes through the block of own_memory.h: memory of files,
 * whose pages may be beyond the end of the file; memory without read permission; pages that are
 * swapped out, which may be guards; and unstable pages.
 */
#include "libckpt/page_writer.h"

#include <errno.h>

#include "own_memory/segments.h"
#include "own_memory/shm_holes.h"

struct writing {
	struct image_writer *writer;
	struct own_memory *memory;
	const struct shared_copy *shared;
	uint64_t bytes; /* of pages that hold data */
};

static int fail_unreadable(struct writing *w)
{
	w->writer->failure.step = "memory became unreadable while writing";
	return -EIO;
}

static int write_by_copy(struct writing *w, uint64_t start, uint64_t end)
{
	int err = 0;

	while (start < end && !err) {
		size_t bytes = end - start < OWN_MEMORY_BLOCK ? end - start : OWN_MEMORY_BLOCK;

		if (own_memory__copy(w->memory, start, bytes))
			return fail_unreadable(w);
		err = image_writer__pages(w->writer, w->memory->block, bytes);
		start += bytes;
	}
	return err;
}

static int write_directly(struct writing *w, uint64_t start, uint64_t end)
{
	int err = 0;

	while (start < end && !err) {
		size_t bytes = end - start < OWN_MEMORY_BLOCK ? end - start : OWN_MEMORY_BLOCK;

		err = image_writer__pages(w->writer, (const void *)start, bytes); /* NOLINT */
		start += bytes;
	}
	return err;
}

/* Swapped out, or guards on a kernel that does not know them. A guard has no contents: it comes
 * back as zeros. */
static int write_absent(struct writing *w, const struct pagemap_run *run)
{
	int err = 0;

	for (uint64_t at = run->start; at < run->end && !err; at += PAGE_BYTES) {
		if (own_memory__copy(w->memory, at, PAGE_BYTES) == 0)
			err = image_writer__pages(w->writer, w->memory->block, PAGE_BYTES);
		else if (!w->memory->pagemap->knows_guards)
			err = image_writer__zeros(w->writer, PAGE_BYTES);
		else
			err = fail_unreadable(w);
	}
	return err;
}

static int write_run(struct writing *w, const struct pagemap_run *run, bool can_read_directly)
{
	bool unstable;
	int err = 0;

	if (!(run->categories & PAGEMAP_PRESENT))
		return write_absent(w, run);
	for (uint64_t start = run->start, end; start < run->end && !err; start = end) {
		end = own_memory__alike_end(w->memory, start, run->end, &unstable);
		err = can_read_directly && !unstable ? write_directly(w, start, end)
						     : write_by_copy(w, start, end);
	}
	return err;
}

static int write_zeros(struct writing *w, uint64_t start, uint64_t end)
{
	return start < end ? image_writer__zeros(w->writer, end - start) : 0;
}

/* Anonymous memory from start on has the bytes of the segment: its own, or a copy of them. */
static int write_anonymous(struct writing *w, const struct image_segment *segment, uint64_t start,
			   bool can_read_directly)
{
	const uint64_t end = start + (segment->end - segment->start);
	struct pagemap_run run;
	int more, err;

	pagemap__begin(w->memory->pagemap, start, end, 0);
	while ((more = pagemap__next(w->memory->pagemap, &run)) > 0) {
		err = write_zeros(w, start, run.start);
		if (err)
			return err;
		err = write_run(w, &run, can_read_directly);
		if (err)
			return err;
		w->bytes += run.end - run.start;
		start = run.end;
	}
	return more < 0 ? more : write_zeros(w, start, end);
}

/* Files and shared memory, whose holes stay holes. */
static int write_other(struct writing *w, const struct image *image,
		       const struct image_mapping *mapping, const struct image_segment *segment)
{
	const unsigned char *copy = shared_copy__find(w->shared, image, mapping);
	uint64_t at = segment->start;
	struct shm_holes holes;
	struct image_run run;
	int err = 0;

	if (copy)
		return write_anonymous(w, segment,
				       (uintptr_t)copy + (segment->start - mapping->start), true);
	shm_holes__open(&holes, mapping, image->strings);
	while (shm_holes__next(&holes, at, segment->end, &run)) {
		err = write_zeros(w, at, run.start);
		if (err)
			goto out;
		err = write_by_copy(w, run.start, run.end);
		if (err)
			goto out;
		w->bytes += run.end - run.start;
		at = run.end;
	}
	err = write_zeros(w, at, segment->end);
out:
	shm_holes__close(&holes);
	return err;
}

int page_writer__write(struct image_writer *writer, const struct image *image,
		       struct own_memory *memory, const struct shared_copy *shared,
		       uint64_t *ret_bytes)
{
	struct writing w = {.writer = writer, .memory = memory, .shared = shared};
	const struct image_mapping *mapping = image->mappings;
	int err = 0;

	for (size_t i = 0; i < image->segment_count && !err; i++) {
		const struct image_segment *segment = &image->segments[i];

		while (mapping->end <= segment->start)
			mapping++;
		if (!segment->bytes)
			continue;
		if (segments__is_anonymous(mapping))
			err = write_anonymous(&w, segment, segment->start,
					      mapping->flags & IMAGE_READ);
		else
			err = write_other(&w, image, mapping, segment);
	}
	*ret_bytes = w.bytes;
	return err;
}
