/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Measures what system calls cost, run by bench.sh with the tracer and without:
 *	other    in a process that is not the target: getppid, and mmap with munmap
 *	maps     in the target: mmap and munmap of memory that the hooks register, untouched
 *	startup  of a command that does nothing, alone and under the tracer
 */
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/parse.h"
#include "bench.h"

enum { BATCHES = 23, GETPPIDS = 20000, MAP_PAIRS = 500, MAP_ROUNDS = 23, PLAIN_STARTS = 5 };

static void *map(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

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

static double time_map_pairs(void)
{
	uint64_t start_ns = bench__now_ns();

	for (int i = 0; i < MAP_PAIRS; i++)
		unmap(map(65536), 65536);
	return (double)(bench__now_ns() - start_ns) / MAP_PAIRS;
}

static void run_other(int samples, const char *variant)
{
	for (int i = 0; i < BATCHES; i++) {
		bench__emit(samples, "getppid_other", variant, "-", 0, 0, time_getppid());
		bench__emit(samples, "mmap_pair_other", variant, "-", 65536, 0, time_map_pairs());
	}
}

static void run_maps(int samples, const char *variant)
{
	static const size_t sizes[] = {1 << 20, 4 << 20};

	for (int i = 0; i < MAP_ROUNDS; i++) {
		for (size_t j = 0; j < sizeof(sizes) / sizeof(*sizes); j++) {
			uint64_t start_ns = bench__now_ns(), mapped_ns, end_ns;
			void *at = map(sizes[j]);

			mapped_ns = bench__now_ns();
			unmap(at, sizes[j]);
			end_ns = bench__now_ns();
			bench__emit(samples, "mmap", variant, "-", sizes[j], 0,
				    (double)(mapped_ns - start_ns));
			bench__emit(samples, "munmap", variant, "-", sizes[j], 0,
				    (double)(end_ns - mapped_ns));
		}
	}
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

/* command: the tracer with its options and what it runs, which ends with the word true. */
static void run_startup(int samples, uint64_t rounds, char **command)
{
	char *plain[] = {"true", NULL};

	for (uint64_t i = 0; i < rounds; i++) {
		for (int j = 0; j < PLAIN_STARTS; j++)
			bench__emit(samples, "startup", "off", "-", 0, 0, time_command(plain));
		bench__emit(samples, "startup", "on", "-", 0, 0, time_command(command));
	}
}

int main(int argc, char **argv)
{
	uint64_t rounds = 0;
	int samples;

	if (argc >= 5 && !strcmp(argv[2], "startup") && !parse__u64(argv[3], 1, 1000, &rounds)) {
		samples = bench__open_samples(argv[1]);
		run_startup(samples, rounds, argv + 4);
	} else if (argc == 4 && !strcmp(argv[2], "other")) {
		samples = bench__open_samples(argv[1]);
		run_other(samples, argv[3]);
	} else if (argc == 4 && !strcmp(argv[2], "maps")) {
		samples = bench__open_samples(argv[1]);
		run_maps(samples, argv[3]);
	} else {
		fprintf(stderr, "usage: bench_calls SAMPLES other|maps VARIANT\n"
				"       bench_calls SAMPLES startup ROUNDS TRACER [ARG...] true\n");
		return 2;
	}
	close(samples);
	return 0;
}
