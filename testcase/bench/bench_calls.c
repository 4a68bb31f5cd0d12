/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Measures what system calls cost, run by bench.sh with the tracer and without:
 *	other    in a process that is not the target: getppid, mmap with munmap, and page faults;
 *	         medians, on one processor
 *	maps     in the target: mmap and munmap of untouched memory, each alone and as a pair
 *	churn    in the target: malloc and free of many sizes
 *	startup  of a command that does nothing, alone and under the tracer
 * As a target, with "armed" it makes the file READY. After SIGUSR1 it takes a checkpoint, so that
 * its memory is armed, and makes READY-armed.
 */
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/parse.h"
#include "bench.h"
#include "client/client.h"

enum {
	BATCHES = 23,
	GETPPIDS = 20000,
	MAP_PAIRS = 101,
	LARGE_PAIRS = 11,
	FAULT_BYTES = 4 << 20,
	ARMED_BYTES = 64 << 20,
	MAP_ROUNDS = 23,
	PLAIN_STARTS = 5
};
enum {
	CHURN_STEPS = 20011,
	CHURN_SLOTS = 1021,
	CHURN_POWERS = 15,
	CHURN_MIN = 16,
	CHURN_SEED = 23
};

static void *map(size_t bytes)
{
	/* a small machine refuses 1 GiB without NORESERVE, though nobody touches it */
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		BENCH_DIE("cannot map %zu bytes", bytes);
	return at;
}

static void unmap(void *at, size_t bytes)
{
	if (munmap(at, bytes))
		BENCH_DIE("cannot unmap %zu bytes", bytes);
}

static double time_getppid(void)
{
	uint64_t start_ns = bench__now_ns();

	for (int i = 0; i < GETPPIDS; i++)
		(void)syscall(SYS_getppid);
	return (double)(bench__now_ns() - start_ns) / GETPPIDS;
}

static double time_map_pairs(size_t bytes)
{
	int pairs = bytes < 1 << 30 ? MAP_PAIRS : LARGE_PAIRS;
	uint64_t start_ns = bench__now_ns();

	for (int i = 0; i < pairs; i++)
		unmap(map(bytes), bytes);
	return (double)(bench__now_ns() - start_ns) / pairs;
}

/* Of the first write to a page. */
static double time_fault(void)
{
	const size_t pages = FAULT_BYTES / 4096;
	char *at = map(FAULT_BYTES);
	uint64_t start_ns = bench__now_ns(), end_ns;

	for (size_t i = 0; i < pages; i++)
		((volatile char *)at)[i * 4096] = 1;
	end_ns = bench__now_ns();
	unmap(at, FAULT_BYTES);
	return (double)(end_ns - start_ns) / (double)pages;
}

static double time_small_pairs(void)
{
	return time_map_pairs(65536);
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static double median_of(double (*measure)(void))
{
	double values[BATCHES];

	for (int i = 0; i < BATCHES; i++)
		values[i] = measure();
	qsort(values, BATCHES, sizeof(*values), compare);
	return values[BATCHES / 2];
}

/* Processors differ from each other: all runs are on the first one that there is. */
static void stay_on_one_processor(void)
{
	cpu_set_t all, one;
	int number = 0;

	if (sched_getaffinity(0, sizeof(all), &all))
		BENCH_DIE("cannot ask for the processors");
	while (number < CPU_SETSIZE - 1 && !CPU_ISSET(number, &all))
		number++;
	CPU_ZERO(&one);
	CPU_SET(number, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		BENCH_DIE("cannot stay on processor %d", number);
}

static void run_other(int samples, const char *variant, const char *engine)
{
	stay_on_one_processor();
	bench__emit(samples, "fault_other", variant, engine, 0, 0, median_of(time_fault));
	bench__emit(samples, "getppid_other", variant, engine, 0, 0, median_of(time_getppid));
	bench__emit(samples, "map_pair_other", variant, engine, 65536, 0,
		    median_of(time_small_pairs));
}

static void run_maps(int samples, const char *variant, const char *engine)
{
	static const size_t alone[] = {1 << 20, 4 << 20}, pairs[] = {1 << 16, 1 << 20, 1 << 30};

	for (int i = 0; i < MAP_ROUNDS; i++) {
		for (size_t j = 0; j < sizeof(alone) / sizeof(*alone); j++) {
			uint64_t start_ns = bench__now_ns(), mapped_ns, end_ns;
			void *at = map(alone[j]);

			mapped_ns = bench__now_ns();
			unmap(at, alone[j]);
			end_ns = bench__now_ns();
			bench__emit(samples, "mmap", variant, engine, alone[j], 0,
				    (double)(mapped_ns - start_ns));
			bench__emit(samples, "munmap", variant, engine, alone[j], 0,
				    (double)(end_ns - mapped_ns));
		}
		for (size_t j = 0; j < sizeof(pairs) / sizeof(*pairs); j++)
			bench__emit(samples, "map_pair", variant, engine, pairs[j], 0,
				    time_map_pairs(pairs[j]));
	}
}

/* One step frees the block of a slot and allocates another, of 16 bytes to 512 KiB; all powers of
 * two are equally likely. It writes the first page and the last byte. */
static void churn(char **slots, uint64_t random)
{
	char **slot = &slots[random % CHURN_SLOTS];
	size_t bytes = (size_t)CHURN_MIN << (random >> 16) % CHURN_POWERS;

	bytes += (random >> 32) % bytes;
	free(*slot);
	*slot = malloc(bytes);
	if (!*slot)
		BENCH_DIE("no memory for %zu bytes", bytes);
	memset(*slot, 1, bytes < 4096 ? bytes : 4096);
	(*slot)[bytes - 1] = 1;
}

static void run_churn(int samples, const char *variant, const char *engine)
{
	char *slots[CHURN_SLOTS] = {NULL};
	uint64_t random = CHURN_SEED;

	for (int i = 0; i <= BATCHES; i++) {
		uint64_t start_ns = bench__now_ns();

		for (int j = 0; j < CHURN_STEPS; j++) { /* xorshift64, George Marsaglia */
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			churn(slots, random);
		}
		if (i) /* the first makes the heap grow */
			bench__emit(samples, "malloc_churn", variant, engine, 0, 0,
				    (double)(bench__now_ns() - start_ns) / CHURN_STEPS);
	}
	for (int i = 0; i < CHURN_SLOTS; i++)
		free(slots[i]);
}

static double time_command(char **argv)
{
	uint64_t start_ns = bench__now_ns();
	int status, err;
	pid_t pid;

	err = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
	errno = err;
	if (err || waitpid(pid, &status, 0) != pid)
		BENCH_DIE("cannot run %s", argv[0]);
	errno = 0;
	if (status)
		BENCH_DIE("%s failed with wait status %#x", argv[0], (unsigned int)status);
	return (double)(bench__now_ns() - start_ns);
}

/* command: the tracer with its options and its program; the last word is true. */
static void run_startup(int samples, uint64_t rounds, char **command)
{
	char *plain[] = {"true", NULL};

	for (uint64_t i = 0; i < rounds; i++) {
		for (int j = 0; j < PLAIN_STARTS; j++)
			bench__emit(samples, "startup", "off", "-", 0, 0, time_command(plain));
		bench__emit(samples, "startup", "on", "-", 0, 0, time_command(command));
	}
}

static void make_file(const char *path, const char *ending)
{
	char whole[4096];

	snprintf(whole, sizeof(whole), "%s%s", path, ending);
	close(bench__open_samples(whole));
}

static void wait_armed(const char *ready)
{
	sigset_t signals;
	int err, number;

	memset(map(ARMED_BYTES), 1, ARMED_BYTES);
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &signals, NULL))
		BENCH_DIE("cannot block a signal");
	make_file(ready, "");
	(void)sigwait(&signals, &number);
	err = client__save(0);
	errno = 0;
	if (err)
		BENCH_DIE("checkpoint failed: %s", client__strerror(err));
	make_file(ready, "-armed");
	for (;;)
		(void)pause();
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(int samples, const char *variant, const char *engine);
	} kinds[] = {{"other", run_other}, {"maps", run_maps}, {"churn", run_churn}};
	uint64_t rounds = 0;
	int samples;

	if (argc >= 5 && !strcmp(argv[2], "startup") && !parse__u64(argv[3], 1, 1000, &rounds)) {
		samples = bench__open_samples(argv[1]);
		run_startup(samples, rounds, argv + 4);
		close(samples);
		return 0;
	}
	if (argc == 3 && !strcmp(argv[2], "armed"))
		wait_armed(argv[1]);
	for (size_t i = 0; argc == 5 && i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (strcmp(argv[2], kinds[i].name) != 0)
			continue;
		samples = bench__open_samples(argv[1]);
		kinds[i].run(samples, argv[3], argv[4]);
		close(samples);
		return 0;
	}
	bench__check_usage(argc, argv, true,
			   "bench_calls SAMPLES other|maps|churn VARIANT ENGINE\n"
			   "       bench_calls SAMPLES startup ROUNDS TRACER [ARG...] true\n"
			   "       bench_calls READY armed");
	return 2;
}
