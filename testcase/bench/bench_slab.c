/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Measures the time of an operation of the slab allocator and of malloc, in turns, on the same
 * sequences of allocs and frees. An operation goes to one of many places. It frees the object
 * there; if there is none, it allocates one and writes to it. The variant `loop` does everything
 * but allocating and freeing: it is the cost of measuring.
 *
 *	slab_mixed	each operation goes to a random place; 8 bytes of an object are written
 *	slab_filled	the same, all 256 bytes are written
 *	slab_runs	runs of up to 119 allocs, then of up to 119 frees, at random places
 *
 * The samples have the variants loop, malloc, slab and slab_debug; their engine is the number of
 * places. Without the name of a samples file it prints a table.
 */
#include <stdbool.h>
#include <unistd.h>
#include "bench.h"
#include "slab/slab.h"

enum { OBJECT_BYTES = 256, OPERATIONS = 1 << 18, ROUNDS = 23, RUN_LENGTH = 119 };

enum { LOOP, MALLOC, SLAB, SLAB_DEBUGGING, VARIANTS };

static const char *const variants[VARIANTS] = {"loop", "malloc", "slab", "slab_debug"};

struct sequence {
	const char *op;
	bool runs, fill;
};

static const struct sequence sequences[] = {
	{"slab_mixed", false, false},
	{"slab_filled", false, true},
	{"slab_runs", true, false},
};

struct bench {
	size_t count; /* of places */
	uint64_t random;
	uint32_t *steps; /* OPERATIONS places */
	/* For runs: the numbers of all places; those before `used` have an object. */
	uint32_t *order;
	size_t used, run_left;
	bool run_frees;
	void **places[VARIANTS];
	unsigned char *objects; /* of the variant loop: one for each place */
	struct slab_cache *caches[VARIANTS];
	double ns[VARIANTS][ROUNDS];
};

/* xorshift64, G. Marsaglia, Journal of Statistical Software 8 (2003) */
static uint64_t next_random(struct bench *bench)
{
	bench->random ^= bench->random << 13;
	bench->random ^= bench->random >> 7;
	bench->random ^= bench->random << 17;
	return bench->random;
}

/* ---- sequences ---- */

static uint32_t next_of_run(struct bench *bench)
{
	size_t from, to;
	uint32_t place;

	while (!bench->run_left) {
		size_t most;

		bench->run_frees = !bench->run_frees;
		most = bench->run_frees ? bench->used : bench->count - bench->used;
		bench->run_left = 1 + next_random(bench) % RUN_LENGTH;
		if (bench->run_left > most)
			bench->run_left = most;
	}
	bench->run_left--;
	if (bench->run_frees) {
		from = next_random(bench) % bench->used;
		to = --bench->used;
	} else {
		from = bench->used + next_random(bench) % (bench->count - bench->used);
		to = bench->used++;
	}
	place = bench->order[from];
	bench->order[from] = bench->order[to];
	bench->order[to] = place;
	return place;
}

static void make_steps(struct bench *bench, bool runs)
{
	for (size_t i = 0; i < OPERATIONS; i++)
		bench->steps[i] =
			runs ? next_of_run(bench) : (uint32_t)(next_random(bench) % bench->count);
}

/* ---- playing ---- */

static inline void use(void *object, bool fill)
{
	if (!object) {
		errno = ENOMEM;
		BENCH_DIE("no object");
	}
	memset(object, 0x17, fill ? OBJECT_BYTES : sizeof(uint64_t));
	__asm__ volatile("" ::"r"(object) : "memory"); /* the writing is not left out */
}

/* Inlined into one loop for each variant, with its own two calls. */
static inline __attribute__((always_inline)) void play(struct bench *bench, int variant, bool fill)
{
	struct slab_cache *cache = bench->caches[variant];
	void **places = bench->places[variant];

	for (size_t i = 0; i < OPERATIONS; i++) {
		void **place = &places[bench->steps[i]];

		if (*place) {
			if (variant == MALLOC)
				free(*place);
			else if (variant != LOOP && slab_cache__free(cache, *place))
				BENCH_DIE("an object cannot be freed");
			*place = NULL;
			continue;
		}
		if (variant == LOOP)
			*place = bench->objects + (size_t)bench->steps[i] * OBJECT_BYTES;
		else
			*place =
				variant == MALLOC ? malloc(OBJECT_BYTES) : slab_cache__alloc(cache);
		use(*place, fill);
	}
}

static double time_one(struct bench *bench, int variant, bool fill)
{
	uint64_t start_ns = bench__now_ns();

	if (variant == LOOP)
		play(bench, LOOP, fill);
	else if (variant == MALLOC)
		play(bench, MALLOC, fill);
	else
		play(bench, variant, fill);
	return (double)(bench__now_ns() - start_ns) / OPERATIONS;
}

/* ---- the table ---- */

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static void print(struct bench *bench, const char *op)
{
	double median[VARIANTS], loop, reference;

	for (int variant = 0; variant < VARIANTS; variant++) {
		qsort(bench->ns[variant], ROUNDS, sizeof(double), compare);
		median[variant] = bench->ns[variant][ROUNDS / 2];
	}
	loop = median[LOOP];
	reference = median[MALLOC];
	for (int variant = 0; variant < VARIANTS; variant++) {
		const double *ns = bench->ns[variant];

		printf("%-12s %6zu  %-10s  %6.1f ns  (%.1f to %.1f)", op, bench->count,
		       variants[variant], median[variant], ns[ROUNDS / 10], ns[ROUNDS * 9 / 10]);
		if (variant >= SLAB)
			printf("  malloc's rate x %.2f, without the loop x %.2f",
			       reference / median[variant],
			       (reference - loop) / (median[variant] - loop));
		printf("\n");
	}
}

/* ---- measuring ---- */

static void open_bench(struct bench *bench, size_t count)
{
	*bench = (struct bench){.random = 23 + count, .count = count};
	bench->steps = calloc(OPERATIONS, sizeof(*bench->steps));
	bench->order = calloc(count, sizeof(*bench->order));
	bench->objects = calloc(count, OBJECT_BYTES);
	if (!bench->steps || !bench->order || !bench->objects)
		BENCH_DIE("no memory");
	for (size_t i = 0; i < count; i++)
		bench->order[i] = (uint32_t)i;
	for (int variant = 0; variant < VARIANTS; variant++) {
		const struct slab_options options = {.object_bytes = OBJECT_BYTES,
						     .flags = variant == SLAB_DEBUGGING ? SLAB_DEBUG
											: 0};

		bench->places[variant] = calloc(count, sizeof(void *));
		if (!bench->places[variant] ||
		    (variant >= SLAB && slab_cache__create(&options, &bench->caches[variant])))
			BENCH_DIE("no memory");
	}
}

static void close_bench(struct bench *bench)
{
	for (size_t i = 0; i < bench->count; i++)
		free(bench->places[MALLOC][i]);
	for (int variant = 0; variant < VARIANTS; variant++) {
		slab_cache__destroy(bench->caches[variant]);
		free(bench->places[variant]);
	}
	free(bench->steps);
	free(bench->order);
	free(bench->objects);
}

/* samples: an open file, or -1 to print. */
static void measure(int samples, size_t count, const struct sequence *sequence)
{
	struct bench bench;
	char engine[24];

	snprintf(engine, sizeof(engine), "%zu", count);
	open_bench(&bench, count);
	for (int round = -2; round < ROUNDS; round++) { /* the first two fill the places */
		make_steps(&bench, sequence->runs);
		for (int i = 0; i < VARIANTS; i++) {
			int variant = (i + round + VARIANTS) % VARIANTS; /* each is first in turn */
			double ns = time_one(&bench, variant, sequence->fill);

			if (round < 0)
				continue;
			bench.ns[variant][round] = ns;
			if (samples >= 0)
				bench__emit(samples, sequence->op, variants[variant], engine,
					    OBJECT_BYTES, 0, ns);
		}
	}
	if (samples < 0)
		print(&bench, sequence->op);
	close_bench(&bench);
}

int main(int argc, char **argv)
{
	const size_t counts[] = {61, 4093, 65521};
	int samples = -1;

	bench__check_usage(argc, argv, argc > 2, "bench_slab [SAMPLES]");
	if (argc == 2)
		samples = bench__open_samples(argv[1]);
	for (size_t i = 0; i < sizeof(sequences) / sizeof(*sequences); i++)
		for (size_t k = 0; k < sizeof(counts) / sizeof(*counts); k++)
			measure(samples, counts[k], &sequences[i]);
	if (samples >= 0)
		close(samples);
	return 0;
}
