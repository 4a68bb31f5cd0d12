/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Case many: 23 mappings of odd sizes, some unmapped again, whole or in their middle, before the
 * checkpoint. What is left must come back, and what was unmapped must stay unmapped.
 */
#include <errno.h>
#include <sys/mman.h>

#include "cases.h"

#define RANGES 23

struct range {
	char *start;
	size_t pages;
	size_t hole_first, hole_pages; /* unmapped again; hole_pages 0: nothing */
};

/* At most two areas to a range: before and behind the hole. Returns how many. */
static unsigned int add_areas(const struct run *run, const struct range *range, unsigned int index,
			      struct area *areas)
{
	size_t page = run__page_size(), behind = range->hole_first + range->hole_pages;
	unsigned int count = 0;

	if (!range->hole_pages)
		behind = 0;
	else if (range->hole_first)
		areas[count++] = (struct area){.at = range->start,
					       .bytes = range->hole_first * page,
					       .seed = area__derive(run->seed, 2ULL * index),
					       .range = index};
	if (behind < range->pages)
		areas[count++] = (struct area){.at = range->start + behind * page,
					       .bytes = (range->pages - behind) * page,
					       .seed = area__derive(run->seed, 2ULL * index + 1),
					       .range = index};
	return count;
}

/* Maps all ranges: an odd number of pages each, around the size that -n gives for all together. */
static enum result map_ranges(const struct run *run, struct range *ranges)
{
	size_t page = run__page_size(), mean = run__page_bytes(run) / page / RANGES + 4;
	uint64_t random = run->seed;
	unsigned int i;

	for (i = 0; i < RANGES; i++) {
		ranges[i].pages = 1 + 2 * (size_t)(area__random(&random) % mean);
		ranges[i].start = run__map(run, ranges[i].pages * page, i % 4 == 3, NULL);
		if (!ranges[i].start)
			return RESULT_BROKEN;
	}
	return RESULT_OK;
}

/* Every fifth range goes as a whole; of every other fifth, the middle. They were written before. */
static enum result unmap_some(const struct run *run, struct range *ranges)
{
	size_t page = run__page_size();
	unsigned int i;

	for (i = 0; i < RANGES; i++) {
		if (i % 5 == 2) {
			ranges[i].hole_pages = ranges[i].pages;
		} else if (i % 5 == 4 && ranges[i].pages >= 3) {
			ranges[i].hole_first = ranges[i].pages / 3;
			ranges[i].hole_pages = ranges[i].pages / 3;
		}
		if (ranges[i].hole_pages && munmap(ranges[i].start + ranges[i].hole_first * page,
						   ranges[i].hole_pages * page) < 0) {
			run__complain(run, "cannot unmap part of range %u", i);
			return RESULT_BROKEN;
		}
	}
	return RESULT_OK;
}

/* mincore(2) says ENOMEM of a page that is not mapped. */
static enum result check_holes(const struct run *run, const struct range *ranges)
{
	size_t page = run__page_size(), k;
	unsigned char state;
	unsigned int i;
	char *at;

	for (i = 0; i < RANGES; i++) {
		for (k = 0; k < ranges[i].hole_pages; k++) {
			at = ranges[i].start + (ranges[i].hole_first + k) * page;
			if (mincore(at, page, &state) < 0 && errno == ENOMEM)
				continue;
			run__complain(run,
				      "FAILED: address %p of range %u is mapped again after the "
				      "restore; it was unmapped before the checkpoint",
				      (void *)at, i);
			return RESULT_WRONG;
		}
	}
	return RESULT_OK;
}

static enum result run_areas(struct run *run, const struct range *ranges, const struct area *areas,
			     unsigned int count)
{
	enum result result;
	unsigned int i;

	if (run__save(run))
		return RESULT_BROKEN;
	result = run__verify(run, areas, count, "after the checkpoint");
	for (i = 0; i < count; i++)
		area__scramble(&areas[i], area__derive(run->seed, 1000 + i));
	if (run__recover(run))
		return RESULT_BROKEN;
	if (run__verify(run, areas, count, "after the restore") | check_holes(run, ranges))
		return RESULT_WRONG;
	return result;
}

enum result case__many(struct run *run)
{
	struct area areas[2 * RANGES];
	struct range ranges[RANGES] = {0};
	unsigned int i, k, count = 0, made;
	enum result result;
	size_t bytes = 0, page = run__page_size();

	result = map_ranges(run, ranges);
	for (i = 0; i < RANGES && !result; i++) { /* write also what is going to be unmapped */
		made = add_areas(run, &ranges[i], i, areas);
		for (k = 0; k < made; k++)
			area__fill(&areas[k]);
	}
	if (!result)
		result = unmap_some(run, ranges);
	for (i = 0; i < RANGES && !result; i++) {
		made = add_areas(run, &ranges[i], i, areas + count);
		for (k = count; k < count + made; k++) {
			area__fill(&areas[k]);
			bytes += areas[k].bytes;
		}
		count += made;
	}
	if (!result) {
		run__print(run, "%d ranges, %u pieces of %zu bytes left of them", RANGES, count,
			   bytes);
		result = run_areas(run, ranges, areas, count);
		run__report(run, bytes, result);
	}
	for (i = 0; i < RANGES; i++) {
		if (ranges[i].start)
			(void)munmap(ranges[i].start, ranges[i].pages * page);
	}
	return result;
}
