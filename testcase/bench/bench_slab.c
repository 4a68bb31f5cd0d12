/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Measures the slab allocator beside malloc on the same sequence of allocs and frees, in turns: each
 * operation picks one of a number of places by chance, frees the object that is there, or puts a new
 * one there and writes to it. Half of the places are in use all the time. What is measured is the
 * time of one operation, the loop and the writing included.
 * Samples: op `slab_mixed` writes the first 8 bytes of a new object, `slab_filled` all of it; variant
 * `malloc`, `slab` or `slab_debug`; engine is the number of places.
 */
#include <stdbool.h>
#include <unistd.h>
#include "bench.h"
#include "slab/slab.h"

enum { OBJECT_BYTES = 256, OPERATIONS = 1 << 18, ROUNDS = 23, MOST_PLACES = 65521 };

enum { MALLOC, SLAB, DEBUG, VARIANTS };

static const char *const variants[VARIANTS] = {"malloc", "slab", "slab_debug"};

struct run {
	struct slab_cache *caches[VARIANTS]; /* none for malloc */
	void **places[VARIANTS];
	uint32_t *sequence; /* OPERATIONS places */
	uint64_t random;
	size_t count; /* of places */
	bool fill;
	double ns[VARIANTS][ROUNDS]; /* of an operation */
};

/* xorshift64, G. Marsaglia, Journal of Statistical Software 8 (2003) */
static uint64_t next_random(struct run *run)
{
	run->random ^= run->random << 13;
	run->random ^= run->random >> 7;
	run->random ^= run->random << 17;
	return run->random;
}

static inline void use(void *object, bool fill)
{
	if (!object) {
		errno = ENOMEM;
		BENCH_DIE("no object");
	}
	memset(object, 0x17, fill ? OBJECT_BYTES : sizeof(uint64_t));
	__asm__ volatile("" ::"r"(object) : "memory"); /* the writing is not left out */
}

static void play_malloc(struct run *run, bool fill)
{
	void **places = run->places[MALLOC];

	for (size_t i = 0; i < OPERATIONS; i++) {
		void **place = &places[run->sequence[i]];

		if (*place) {
			free(*place);
			*place = NULL;
		} else {
			*place = malloc(OBJECT_BYTES);
			use(*place, fill);
		}
	}
}

static void play_slab(struct run *run, int variant, bool fill)
{
	struct slab_cache *cache = run->caches[variant];
	void **places = run->places[variant];

	for (size_t i = 0; i < OPERATIONS; i++) {
		void **place = &places[run->sequence[i]];

		if (*place) {
			if (slab_cache__free(cache, *place))
				BENCH_DIE("an object cannot be freed");
			*place = NULL;
		} else {
			*place = slab_cache__alloc(cache);
			use(*place, fill);
		}
	}
}

static double play(struct run *run, int variant)
{
	uint64_t start_ns = bench__now_ns();

	if (variant == MALLOC)
		play_malloc(run, run->fill);
	else
		play_slab(run, variant, run->fill);
	return (double)(bench__now_ns() - start_ns) / OPERATIONS;
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

/* What people see of it; the samples have all. */
static void print(struct run *run, const char *op)
{
	double reference = 0;

	for (int variant = 0; variant < VARIANTS; variant++) {
		double *ns = run->ns[variant];

		qsort(ns, ROUNDS, sizeof(*ns), compare);
		if (variant == MALLOC)
			reference = ns[ROUNDS / 2];
		printf("%-12s %6zu places  %-10s  median %6.1f ns  p10 %6.1f  p90 %6.1f  "
		       "rate to malloc %.2f\n",
		       op, run->count, variants[variant], ns[ROUNDS / 2], ns[ROUNDS / 10],
		       ns[ROUNDS * 9 / 10], reference / ns[ROUNDS / 2]);
	}
}

static void measure(int samples, size_t count, bool fill)
{
	struct run run = {.random = 23 + count, .count = count, .fill = fill};
	const char *op = fill ? "slab_filled" : "slab_mixed";
	char places[24];

	snprintf(places, sizeof(places), "%zu", count);
	run.sequence = calloc(OPERATIONS, sizeof(*run.sequence));
	for (int variant = 0; variant < VARIANTS; variant++) {
		const struct slab_options options = {.object_bytes = OBJECT_BYTES,
						     .flags = variant == DEBUG ? SLAB_DEBUG : 0};

		run.places[variant] = calloc(count, sizeof(void *));
		if (!run.sequence || !run.places[variant] ||
		    (variant != MALLOC && slab_cache__create(&options, &run.caches[variant])))
			BENCH_DIE("no memory");
	}
	for (int round = -2; round < ROUNDS; round++) { /* the first two fill the places */
		for (size_t i = 0; i < OPERATIONS; i++)
			run.sequence[i] = (uint32_t)(next_random(&run) % count);
		for (int i = 0; i < VARIANTS; i++) {
			int variant = (i + round + 3) % VARIANTS; /* each is first in its turn */
			double ns = play(&run, variant);

			if (round < 0)
				continue;
			run.ns[variant][round] = ns;
			bench__emit(samples, op, variants[variant], places, OBJECT_BYTES, 0, ns);
		}
	}
	print(&run, op);
	for (int variant = 0; variant < VARIANTS; variant++) {
		for (size_t i = 0; i < count && variant == MALLOC; i++)
			free(run.places[variant][i]);
		slab_cache__destroy(run.caches[variant]);
		free(run.places[variant]);
	}
	free(run.sequence);
}

int main(int argc, char **argv)
{
	const size_t counts[] = {61, 4093, MOST_PLACES};
	int samples;

	if (argc != 2) {
		fprintf(stderr, "usage: bench_slab SAMPLES\n");
		return 2;
	}
	samples = bench__open_samples(argv[1]);
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		measure(samples, counts[i], false);
		measure(samples, counts[i], true);
	}
	close(samples);
	return 0;
}
