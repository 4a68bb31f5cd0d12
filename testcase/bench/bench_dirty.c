/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Run by bench.sh under the tracer with one of the ways of --dirty: checkpoints and restores of a
 * private mapping with few written pages, and what that costs the program itself.
 *
 *	way_restore, way_checkpoint   the whole call, by what was written before it
 *	way_write                     a write to a page that may be armed
 *
 * The pages are others in each round, so that none of them becomes hot.
 */
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/parse.h"
#include "bench.h"
#include "client/client.h"

enum { PAGE = 4096, PAGE_WORDS = PAGE / 8, STRIDE = 7919, MOST_SAMPLES = 16384 };

enum { MOST_ROUNDS = 1000 };

struct sample {
	const char *op, *variant; /* string literals */
	double ns;
};

struct bench { /* on the stack of main, which no restore touches */
	uint64_t bytes, rounds, budget_ms;
	uint64_t *area;
	struct sample *samples; /* in shared memory of a file: not tracked */
	uint64_t count;
};

static const struct share {
	const char *variant;
	uint64_t pages, percent;
} shares[] = {{"dirty_0", 0, 0}, {"dirty_4_pages", 4, 0}, {"dirty_1", 0, 1}};

enum { SHARES = sizeof(shares) / sizeof(*shares) };

static void note(struct bench *bench, const char *op, const char *variant, double ns)
{
	if (bench->count < MOST_SAMPLES)
		bench->samples[bench->count++] =
			(struct sample){.op = op, .variant = variant, .ns = ns};
}

/* ---- memory ---- */

static uint64_t content(uint64_t page)
{
	return page * 0xd1342543de82ef95 + 23;
}

static uint64_t count_pages(const struct bench *bench, const struct share *share)
{
	return share->percent ? bench->bytes / PAGE * share->percent / 100 : share->pages;
}

/* Page number i of so many, which lie at even distances. */
static uint64_t page_at(const struct bench *bench, uint64_t i, uint64_t count, uint64_t round)
{
	uint64_t pages = bench->bytes / PAGE;

	return (i * pages / count + round * STRIDE) % pages;
}

/* Writes one word to each of the pages of a share. other: 0 for what was there before. */
static void dirty(struct bench *bench, const struct share *share, uint64_t round, uint64_t other)
{
	uint64_t count = count_pages(bench, share), start_ns = bench__now_ns();

	for (uint64_t i = 0; i < count; i++) {
		uint64_t page = page_at(bench, i, count, round);

		bench->area[page * PAGE_WORDS + round % PAGE_WORDS] = content(page) ^ other;
	}
	if (count)
		note(bench, "way_write", share->variant,
		     (double)(bench__now_ns() - start_ns) / (double)count);
}

static void fill(const struct bench *bench)
{
	for (uint64_t i = 0; i < bench->bytes / 8; i++)
		bench->area[i] = content(i / PAGE_WORDS);
}

static void verify(const struct bench *bench)
{
	uint64_t wrong = 0;

	for (uint64_t i = 0; i < bench->bytes / 8; i++)
		wrong += bench->area[i] != content(i / PAGE_WORDS);
	errno = 0;
	if (wrong)
		BENCH_DIE("%lu of %lu words are wrong", (unsigned long)wrong,
			  (unsigned long)bench->bytes / 8);
}

/* ---- operations ---- */

static void request(struct bench *bench, int (*call)(unsigned int timeout_ms), const char *op,
		    const char *variant)
{
	uint64_t start_ns = bench__now_ns(), end_ns;
	int err = call(0);

	end_ns = bench__now_ns();
	errno = 0;
	if (err)
		BENCH_DIE("%s failed: %s", op, client__strerror(err));
	note(bench, op, variant, (double)(end_ns - start_ns));
}

/* A share of less than one page is left out. The checkpoints save the first content again, which
 * the restores bring back. */
static void run_round(struct bench *bench, uint64_t round)
{
	for (size_t i = 0; i < 2UL * SHARES; i++) {
		const struct share *share = &shares[i % SHARES];
		bool restores = i < SHARES;

		if (share->percent && !count_pages(bench, share))
			continue;
		dirty(bench, share, round * SHARES + i % SHARES, restores);
		if (restores)
			request(bench, client__restore, "way_restore", share->variant);
		else
			request(bench, client__save, "way_checkpoint", share->variant);
	}
}

/* Only the time of the first checkpoint is kept of what is done for the first time. */
static void run(struct bench *bench)
{
	uint64_t end_ns, round = 0;

	fill(bench);
	request(bench, client__save, "way_checkpoint", "first");
	run_round(bench, round++);
	bench->count = 1;
	end_ns = bench__now_ns() + bench->budget_ms * 1000000;
	while (round <= bench->rounds || (bench__now_ns() < end_ns && round < MOST_ROUNDS))
		run_round(bench, round++);
	verify(bench);
}

static void *map(uint64_t bytes, bool tracked)
{
	int fd = tracked ? -1 : memfd_create("bench", MFD_CLOEXEC);
	void *at;

	if (!tracked && (fd < 0 || ftruncate(fd, (off_t)bytes)))
		BENCH_DIE("cannot make a file of %lu bytes in memory", (unsigned long)bytes);
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		  tracked ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		BENCH_DIE("cannot map %lu bytes", (unsigned long)bytes);
	return at;
}

int main(int argc, char **argv)
{
	struct bench bench = {0};
	int samples;

	bench__check_usage(argc, argv,
			   argc != 6 || parse__u64(argv[1], PAGE, 1ULL << 36, &bench.bytes) ||
				   bench.bytes % PAGE ||
				   parse__u64(argv[2], 1, MOST_ROUNDS, &bench.rounds) ||
				   parse__u64(argv[3], 0, 1000000, &bench.budget_ms),
			   "bench_dirty BYTES ROUNDS BUDGET_MS WAY SAMPLES");
	bench.samples = map(MOST_SAMPLES * sizeof(*bench.samples), false);
	bench.area = map(bench.bytes, true);
	run(&bench);
	samples = bench__open_samples(argv[5]);
	for (uint64_t i = 0; i < bench.count; i++)
		bench__emit(samples, bench.samples[i].op, bench.samples[i].variant, argv[4],
			    bench.bytes, 0, bench.samples[i].ns);
	close(samples);
	return 0;
}
