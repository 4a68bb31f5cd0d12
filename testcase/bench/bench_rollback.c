/* SPDX-License-Identifier: BSD-2-Clause
 *
 * bench_rollback [-q] [BYTES DIRTY]: the time of one round, in which a program writes to some pages
 * and goes back. Prints CSV, one line for each way:
 *	rollback   rollback__back(), mappings and signals looked at
 *	promised   the same with ROLLBACK_FIXED_STATE
 *	ranges     as promised, with rollback__restore() and a checkpoint of this memory alone
 *	list       as promised, with a tracer that lists the written pages (needs root)
 *	list-range as ranges, with such a tracer
 *	fork       fork(), the writes and _exit() in the child, waitpid()
 *	memcpy     the writes, and all bytes copied back
 *	take       rollback__take(), with no rollback
 *	touched    memcpy of all into touched memory
 * The faults of the next round are part of each. Pages are the same in each round ("hot"), or other
 * ones ("wandering"). Each way is a process of its own, in turns, several passes of them.
 */
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/parse.h"
#include "bench.h"
#include "rollback/rollback.h"
#include "../rollback/own_tracer.h"

#define PAGE  4096UL
#define LARGE (200UL << 20)
enum {
	PASSES = 5,
	LARGE_PASSES = 2,
	ROUNDS = 401,
	MOST = PASSES * ROUNDS,
	WARM = 48,
	TAKES = 3, /* in each pass */
	PRIME = 7919
};

enum way { ROLLBACK, PROMISED, RANGES, LIST, LIST_RANGE, FORK, MEMCPY, TAKE, TOUCHED, WAYS };
static const char *const way_names[] = {"rollback", "promised", "ranges", "list",   "list-range",
					"fork",     "memcpy",   "take",   "touched"};

/* Of all passes of a way. In memory that is shared, so that no rollback changes it. */
struct samples {
	uint64_t count, rounds, last_ns;
	double ns[MOST];
};

struct work {
	unsigned char *bytes, *copy;
	size_t size, pages, dirty;
	bool wandering;
	struct samples *samples;
	pid_t tracer; /* of the process of a pass; 0: none */
};

static const char *tracer_path;
static bool lists; /* ways with a list can be measured */

static void *map(size_t bytes, int flags)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | flags, -1, 0);

	if (at == MAP_FAILED)
		BENCH_DIE("cannot map %zu bytes", bytes);
	return at;
}

static void fill(unsigned char *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += sizeof(uint64_t)) {
		const uint64_t word = i * 0x9e3779b97f4a7c15 + 1;

		memcpy(at + i, &word, sizeof(word));
	}
}

static void write_pages(const struct work *w, uint64_t round)
{
	const size_t stride = w->pages / w->dirty;

	for (size_t i = 0; i < w->dirty; i++) {
		const size_t page = (i * stride + (w->wandering ? round * PRIME : 0)) % w->pages;

		w->bytes[page * PAGE + (round & (PAGE - 1))] ^= 0x55;
	}
}

static void add(struct samples *s, uint64_t ns)
{
	if (s->count < MOST)
		s->ns[s->count++] = (double)ns;
}

static void run_rollback(const struct work *w, unsigned int flags, enum rollback_way way,
			 size_t rounds)
{
	const struct rollback_options options = {.flags = flags, .way = way};
	struct samples *const s = w->samples;
	struct rollback *rollback;
	uint64_t now;

	s->rounds = 0;
	/* The first call of a function writes its address, which each rollback would undo. */
	s->last_ns = bench__now_ns();
	if (rollback__take(&rollback, &options) < 0)
		BENCH_DIE("cannot take a checkpoint");
	now = bench__now_ns();
	if (s->rounds > WARM)
		add(s, now - s->last_ns);
	if (s->rounds++ == rounds + WARM)
		return;
	s->last_ns = bench__now_ns();
	write_pages(w, s->rounds);
	rollback__back(rollback);
}

static void run_ranges(const struct work *w, enum rollback_way way, size_t rounds)
{
	const struct rollback_range range = {w->bytes, w->size};
	const struct rollback_options options = {
		.flags = ROLLBACK_FIXED_STATE, .way = way, .ranges = &range, .range_count = 1};
	struct rollback *rollback;

	if (rollback__take(&rollback, &options))
		BENCH_DIE("cannot take a checkpoint");
	for (size_t i = 0; i < rounds + WARM; i++) {
		const uint64_t start_ns = bench__now_ns();

		write_pages(w, i);
		if (rollback__restore(rollback))
			BENCH_DIE("cannot go back");
		if (i >= WARM)
			add(w->samples, bench__now_ns() - start_ns);
	}
}

static void run_fork(const struct work *w, size_t rounds)
{
	for (size_t i = 0; i < rounds; i++) {
		const uint64_t start_ns = bench__now_ns();
		pid_t pid = fork();

		if (pid == 0) {
			write_pages(w, i);
			_exit(0);
		}
		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			BENCH_DIE("cannot fork");
		add(w->samples, bench__now_ns() - start_ns);
	}
}

static void run_memcpy(struct work *w, size_t rounds)
{
	w->copy = map(w->size, MAP_PRIVATE);
	memcpy(w->copy, w->bytes, w->size);
	for (size_t i = 0; i < rounds; i++) {
		const uint64_t start_ns = bench__now_ns();

		write_pages(w, i);
		memcpy(w->bytes, w->copy, w->size);
		__asm__ volatile("" : : "r"(w->bytes) : "memory");
		add(w->samples, bench__now_ns() - start_ns);
	}
}

static uint64_t take_once(void)
{
	const uint64_t start_ns = bench__now_ns();
	struct rollback *rollback;
	uint64_t took_ns;

	if (rollback__take(&rollback, NULL) < 0)
		BENCH_DIE("cannot take a checkpoint");
	took_ns = bench__now_ns() - start_ns;
	rollback__free(rollback);
	return took_ns;
}

/* The first one is not counted: memory that this machine has not used yet may cost its host ten
 * times as much. */
static void run_take(const struct work *w)
{
	(void)take_once();
	for (int i = 0; i < TAKES; i++)
		add(w->samples, take_once());
}

static void run_touched(struct work *w)
{
	uint64_t start_ns;

	w->copy = map(w->size, MAP_PRIVATE);
	memset(w->copy, 1, w->size);
	start_ns = bench__now_ns();
	memcpy(w->copy, w->bytes, w->size);
	__asm__ volatile("" : : "r"(w->copy) : "memory");
	add(w->samples, bench__now_ns() - start_ns);
}

/* One pass of one way, in a process of its own. */
static void run(struct work *w, enum way way)
{
	/* about a tenth of a second for fork and memcpy of large sizes */
	const size_t slow_rounds = 3 + ROUNDS / (1 + w->size / (4 << 20));
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		w->bytes = map(w->size, MAP_PRIVATE);
		(void)madvise(w->bytes, w->size, MADV_NOHUGEPAGE);
		fill(w->bytes, w->size);
		if (way == LIST || way == LIST_RANGE)
			w->tracer = own_tracer__start(tracer_path, getpid());
		if (way == ROLLBACK)
			run_rollback(w, 0, ROLLBACK_BEST, ROUNDS);
		else if (way == PROMISED || way == LIST)
			run_rollback(w, ROLLBACK_FIXED_STATE,
				     way == LIST ? ROLLBACK_LIST : ROLLBACK_BEST, ROUNDS);
		else if (way == RANGES || way == LIST_RANGE)
			run_ranges(w, way == LIST_RANGE ? ROLLBACK_LIST : ROLLBACK_BEST, ROUNDS);
		else if (way == FORK)
			run_fork(w, slow_rounds < ROUNDS ? slow_rounds : ROUNDS);
		else if (way == MEMCPY)
			run_memcpy(w, slow_rounds < ROUNDS ? slow_rounds : ROUNDS);
		else if (way == TAKE)
			run_take(w);
		else
			run_touched(w);
		if (w->tracer)
			own_tracer__end(w->tracer, SIGTERM);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		BENCH_DIE("a pass of %s has failed", way_names[way]);
}

/* Can a process be traced, and get a list? Only root's. */
static bool has_list(void)
{
	const struct rollback_options options = {.way = ROLLBACK_LIST};
	struct rollback *rollback;
	int status;
	pid_t tracer, pid = fork();

	if (pid == 0) {
		tracer = own_tracer__start(tracer_path, getpid());
		status = tracer < 0 || rollback__take(&rollback, &options) < 0;
		if (tracer >= 0)
			own_tracer__end(tracer, SIGTERM);
		_exit(status);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double part(const struct samples *s, double share)
{
	return s->ns[(size_t)((double)(s->count - 1) * share)];
}

static void measure(size_t bytes, size_t dirty, bool wandering, bool quick)
{
	const int passes = quick || bytes > LARGE ? LARGE_PASSES : PASSES;
	struct samples *all[WAYS];
	struct work w = {
		.size = bytes, .pages = bytes / PAGE, .dirty = dirty, .wandering = wandering};

	for (int way = 0; way < WAYS; way++)
		all[way] = map(sizeof(struct samples), MAP_SHARED);
	for (int pass = 0; pass < passes; pass++) {
		for (int way = 0; way < WAYS; way++) {
			w.samples = all[way];
			if (lists || (way != LIST && way != LIST_RANGE))
				run(&w, (enum way)way);
		}
	}
	for (int way = 0; way < WAYS; way++)
		qsort(all[way]->ns, all[way]->count, sizeof(double), compare);
	for (int way = 0; way < WAYS; way++) {
		const struct samples *s = all[way];
		const double ns = s->count ? part(s, 0.5) : 0;

		if (!s->count)
			continue;
		printf("%s,%s,%zu,%zu,%lu,%.0f,%.0f,%.0f,%.0f,%.2f,%.3f\n", way_names[way],
		       wandering ? "wandering" : "hot", bytes, dirty, (unsigned long)s->count, ns,
		       part(s, 0.1), part(s, 0.9), part(s, 0.99), part(all[FORK], 0.5) / ns,
		       ns / part(all[MEMCPY], 0.5));
		(void)fflush(stdout);
	}
	for (int way = 0; way < WAYS; way++)
		(void)munmap(all[way], sizeof(struct samples));
}

int main(int argc, char **argv)
{
	static const struct {
		size_t kib, dirty;
		bool quick;
	} cases[] = {
		{64, 1, true},         {64, 4, true},       {64, 16, true},
		{704, 4, false},       {704, 176, true},    {3072, 10, true},
		{3072, 176, false},    {16384, 1, false},   {16384, 4, true},
		{16384, 16, false},    {16384, 176, true},  {262144, 4, false},
		{262144, 176, false},  {1048576, 1, false}, {1048576, 4, false},
		{1048576, 176, false},
	};
	const bool quick = argc == 2 && !strcmp(argv[1], "-q");
	uint64_t bytes, dirty;

	tracer_path = own_tracer__path(argv[0]);
	bench__check_usage(argc, argv, argc > 3 || (argc == 2 && !quick),
			   "bench_rollback [-q | BYTES DIRTY]");
	lists = has_list();
	printf("op,variant,bytes,dirty_pages,samples,ns,p10_ns,p90_ns,p99_ns,fork_to_op,op_to_"
	       "memcpy\n");
	if (argc == 3) {
		if (parse__u64(argv[1], PAGE, 1ULL << 40, &bytes) ||
		    parse__u64(argv[2], 1, bytes / PAGE, &dirty))
			BENCH_DIE("BYTES and DIRTY are numbers");
		measure(bytes, dirty, false, false);
		measure(bytes, dirty, true, false);
		return 0;
	}
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (quick && !cases[i].quick)
			continue;
		for (int wandering = 0; wandering < 2; wandering++)
			measure(cases[i].kib << 10, cases[i].dirty, wandering, quick);
	}
	return 0;
}
