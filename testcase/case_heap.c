/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Cases idle and scramble: a buffer of malloc'ed integers, saved and recovered for -t seconds.
 * Only the time inside the two calls counts in the rate; filling, destroying and verifying do not.
 */
#include <stdlib.h>
#include <unistd.h>

#include "cases.h"

static void print_rates(const struct run *run, uint64_t wall_ns)
{
	uint64_t pairs = run->recover.count, called_ns = run->save.sum_ns + run->recover.sum_ns;

	if (!pairs || !called_ns || !wall_ns)
		return;
	run__print(run,
		   "%.0f calls per second: %llu pairs of save and recover in %.3f s "
		   "(%.1f pairs per second; %.1f with the checking)",
		   2 * (double)pairs / ((double)called_ns / 1e9), (unsigned long long)pairs,
		   (double)called_ns / 1e9, (double)pairs / ((double)called_ns / 1e9),
		   (double)pairs / ((double)wall_ns / 1e9));
}

static enum result loop(struct run *run, const struct area *area, int destroy)
{
	uint64_t start_ns = run__now_ns(), now_ns, rounds = 0;
	enum result result;

	do {
		result = run__save(run);
		if (result)
			break;
		if (destroy)
			area__scramble(area, area__derive(run->seed, rounds));
		result = run__recover(run);
		if (result)
			break;
		result = run__verify(run, area, 1, "after the restore");
		rounds++;
		now_ns = run__now_ns();
	} while (!result && now_ns - start_ns < run->seconds * 1000000000 && !run__interrupted());
	print_rates(run, run__now_ns() - start_ns);
	return result;
}

static enum result run_heap(struct run *run, int destroy)
{
	struct area area = {.bytes = run__bytes(run), .seed = run->seed};
	char *heap_end = sbrk(0);
	enum result result;

	area.at = malloc(area.bytes);
	if (!area.at) {
		run__complain(run, "no memory for %zu bytes; try a smaller -n", area.bytes);
		return RESULT_BROKEN;
	}
	if ((char *)sbrk(0) > heap_end)
		heap_end = sbrk(0);
	run__print(run, "2^%u integers, %zu bytes at %p (%s), for %llu s%s", run->power, area.bytes,
		   area.at, (char *)area.at < heap_end ? "heap" : "mapped by malloc",
		   (unsigned long long)run->seconds, run->seconds ? "" : " (once)");
	area__fill(&area);
	result = loop(run, &area, destroy);
	run__report(run, area.bytes, result);
	free(area.at);
	return result;
}

enum result case__idle(struct run *run)
{
	return run_heap(run, 0);
}

enum result case__scramble(struct run *run)
{
	return run_heap(run, 1);
}
