/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See shared_copy.h. It is mapped after the image was described, so it is no part of that.
 */
#include "own_memory/shared_copy.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include "own_memory/segments.h"
#include "own_memory/shm_holes.h"

/* A file that has a name is mapped as it is at the restart, so it needs no copy. */
static bool is_copied(const struct image_mapping *m)
{
	return (m->flags & IMAGE_SHARED) && segments__is_saved(m) &&
	       (!(m->flags & IMAGE_FILE) || (m->flags & IMAGE_DELETED));
}

static int copy_mapping(unsigned char *to, struct own_memory *memory, const struct image *image,
			const struct image_mapping *m)
{
	const uint64_t end = own_memory__readable_end(memory, m);
	uint64_t start = m->start;
	struct shm_holes holes;
	struct image_run run;
	int err = 0;

	shm_holes__open(&holes, m, image->strings);
	while (!err && shm_holes__next(&holes, start, end, &run)) {
		for (start = run.start; start < run.end && !err;) {
			const uint64_t left = run.end - start;
			const size_t bytes = left < OWN_MEMORY_BLOCK ? left : OWN_MEMORY_BLOCK;

			err = own_memory__copy(memory, start, bytes);
			if (!err)
				memcpy(to + (start - m->start), memory->block, bytes);
			start += bytes;
		}
	}
	shm_holes__close(&holes);
	return err;
}

int shared_copy__make(struct shared_copy *copy, struct own_memory *memory,
		      const struct image *image)
{
	size_t at = 0;
	void *base;
	int err = 0;

	*copy = (struct shared_copy){0};
	for (size_t i = 0; i < image->mapping_count; i++) {
		if (is_copied(&image->mappings[i]))
			at += image->mappings[i].end - image->mappings[i].start;
	}
	if (!at)
		return 0;
	base = mmap(NULL, at, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		    -1, 0);
	if (base == MAP_FAILED)
		return -ENOMEM;
	*copy = (struct shared_copy){.base = base, .bytes = at};
	at = 0;
	for (size_t i = 0; i < image->mapping_count && !err; i++) {
		const struct image_mapping *m = &image->mappings[i];

		if (!is_copied(m))
			continue;
		err = copy_mapping(copy->base + at, memory, image, m);
		at += m->end - m->start;
	}
	if (err)
		shared_copy__free(copy);
	return err;
}

const unsigned char *shared_copy__find(const struct shared_copy *copy, const struct image *image,
				       const struct image_mapping *mapping)
{
	size_t at = 0;

	if (!copy->base || !is_copied(mapping))
		return NULL;
	for (const struct image_mapping *m = image->mappings; m < mapping; m++) {
		if (is_copied(m))
			at += m->end - m->start;
	}
	return copy->base + at;
}

void shared_copy__free(struct shared_copy *copy)
{
	if (copy->base)
		(void)munmap(copy->base, copy->bytes);
	*copy = (struct shared_copy){0};
}
