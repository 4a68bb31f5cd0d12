/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Cases repeat and replace: one checkpoint restored many times, and one that a second replaces.
 * Both look at three kinds of memory at once: malloc'ed, private and shared mappings.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "cases.h"

#define AREAS    3
#define RESTORES 23

/* A quarter of -n each. Returns RESULT_BROKEN after saying why; free_areas is due in any case. */
static enum result make_areas(const struct run *run, struct area *areas)
{
	size_t page = run__page_size();
	unsigned int i;

	for (i = 0; i < AREAS; i++) {
		areas[i] = (struct area){.bytes = (run__page_bytes(run) / 4 + page) & ~(page - 1),
					 .seed = area__derive(run->seed, i),
					 .range = i};
	}
	areas[0].bytes -= 23; /* malloc takes any size */
	areas[0].at = malloc(areas[0].bytes);
	if (!areas[0].at)
		run__complain(run, "no memory for %zu bytes; try a smaller -n", areas[0].bytes);
	areas[1].at = run__map(run, areas[1].bytes, 0, NULL);
	areas[2].at = run__map(run, areas[2].bytes, 1, NULL);
	if (!areas[0].at || !areas[1].at || !areas[2].at)
		return RESULT_BROKEN;
	for (i = 0; i < AREAS; i++)
		area__fill(&areas[i]);
	run__print(run, "%zu bytes malloc'ed at %p, %zu private at %p, as many shared at %p",
		   areas[0].bytes, areas[0].at, areas[1].bytes, areas[1].at, areas[2].at);
	return RESULT_OK;
}

static void free_areas(struct area *areas)
{
	unsigned int i;

	free(areas[0].at);
	for (i = 1; i < AREAS; i++) {
		if (areas[i].at)
			(void)munmap(areas[i].at, areas[i].bytes);
	}
}

static size_t sum_bytes(const struct area *areas)
{
	return areas[0].bytes + areas[1].bytes + areas[2].bytes;
}

/* Destroys all areas, each in its own way in each round; recovers and verifies. */
static enum result destroy_recover(struct run *run, const struct area *areas, uint64_t round,
				   const char *when)
{
	unsigned int i;

	for (i = 0; i < AREAS; i++)
		area__scramble(&areas[i], area__derive(run->seed, 100 + round * AREAS + i));
	if (run__recover(run))
		return RESULT_BROKEN;
	return run__verify(run, areas, AREAS, when);
}

enum result case__repeat(struct run *run)
{
	struct area areas[AREAS];
	enum result result;
	uint64_t round;

	result = make_areas(run, areas);
	if (!result)
		result = run__save(run);
	for (round = 0; round < RESTORES && !result; round++) {
		result = destroy_recover(run, areas, round,
					 round ? "after another restore of one checkpoint"
					       : "after the first restore");
	}
	run__report(run, sum_bytes(areas), result);
	free_areas(areas);
	return result;
}

static void renew(const struct run *run, struct area *areas)
{
	unsigned int i;

	for (i = 0; i < AREAS; i++) {
		areas[i].seed = area__derive(~run->seed, i);
		area__fill(&areas[i]);
	}
}

enum result case__replace(struct run *run)
{
	struct area areas[AREAS];
	enum result result;

	result = make_areas(run, areas);
	if (!result)
		result = run__save(run);
	if (!result)
		result = destroy_recover(run, areas, 0, "after the restore of the first");
	if (!result) {
		renew(run, areas);
		result = run__save(run);
	}
	if (!result)
		result = destroy_recover(run, areas, 1, "after the restore of the second");
	if (!result)
		result = destroy_recover(run, areas, 2, "after the second restore of the second");
	run__report(run, sum_bytes(areas), result);
	free_areas(areas);
	return result;
}
