/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Run by bench.sh under the tracer: pairs of checkpoint and restore as a program asks for them
 * without the client library, with fopen(3) and a loop of access(2) and sleep(0). Beside them, in
 * the same process and turn by turn, what no such pair can do without: two files, two sleeps, and
 * two round trips through pipes to another process. The first is the op file_pair "on", the second
 * "off".
 *
 * A restore rolls the heap back: what must survive it is on the stack.
 */
#include <limits.h>
#include <unistd.h>
#include "bench.h"

enum { TURNS = 101, WORDS = 1024, PAIRS_PER_TURN = 10 };

struct partner { /* a process that answers each byte */
	int ask_fd, answer_fd;
};

static struct partner start_partner(void)
{
	int ask[2], answer[2];
	pid_t pid;
	char byte;

	if (pipe2(ask, O_CLOEXEC) || pipe2(answer, O_CLOEXEC))
		BENCH_DIE("cannot make pipes");
	pid = fork();
	if (pid < 0)
		BENCH_DIE("cannot fork");
	if (!pid) {
		close(ask[1]);
		while (read(ask[0], &byte, 1) == 1 && write(answer[1], &byte, 1) == 1)
			;
		_exit(0);
	}
	close(ask[0]);
	close(answer[1]);
	return (struct partner){.ask_fd = ask[1], .answer_fd = answer[0]};
}

static void path_of(const char *name, char *path)
{
	const char *folder = getenv("TRACER_CONTROL_DIR");

	if (snprintf(path, PATH_MAX, "%s/%s", folder ? folder : "/tmp", name) >= PATH_MAX)
		BENCH_DIE("the name of the control folder is too long");
}

static void make_file(const char *path)
{
	FILE *file = fopen(path, "w");

	if (!file || fclose(file))
		BENCH_DIE("cannot create %s", path);
}

static void ask(const char *request, const char *complete)
{
	char ours[PATH_MAX], theirs[PATH_MAX];

	path_of(request, ours);
	path_of(complete, theirs);
	make_file(ours);
	while (access(theirs, F_OK))
		(void)sleep(0);
	if (remove(theirs) || remove(ours))
		BENCH_DIE("cannot remove %s", ours);
}

static void do_without(const struct partner *partner)
{
	char path[PATH_MAX], byte = 0;

	path_of("bench_files", path);
	make_file(path);
	(void)sleep(0);
	if (write(partner->ask_fd, &byte, 1) != 1 || read(partner->answer_fd, &byte, 1) != 1)
		BENCH_DIE("the other process does not answer");
	if (remove(path))
		BENCH_DIE("cannot remove %s", path);
}

static double time_floor(const struct partner *partner)
{
	uint64_t start_ns = bench__now_ns();

	for (int i = 0; i < PAIRS_PER_TURN * 2; i++)
		do_without(partner);
	return (double)(bench__now_ns() - start_ns) / PAIRS_PER_TURN;
}

static double time_pairs(volatile uint32_t *words)
{
	uint64_t start_ns = bench__now_ns();

	for (int i = 0; i < PAIRS_PER_TURN; i++) {
		ask("ready_to_checkpoint", "checkpoint_complete");
		for (uint32_t k = 0; k < WORDS; k++)
			words[k] = ~k;
		ask("ready_to_restore", "restore_complete");
		for (uint32_t k = 0; k < WORDS; k++)
			if (words[k] != k) {
				errno = 0;
				BENCH_DIE("word %u is wrong after a restore", k);
			}
	}
	return (double)(bench__now_ns() - start_ns) / PAIRS_PER_TURN;
}

int main(int argc, char **argv)
{
	struct partner partner;
	uint32_t *words;
	int samples;

	if (argc != 3) {
		fprintf(stderr, "usage: bench_files SAMPLES ENGINE\n");
		return 2;
	}
	samples = bench__open_samples(argv[1]);
	words = malloc(WORDS * sizeof(*words));
	if (!words)
		BENCH_DIE("no memory");
	for (uint32_t k = 0; k < WORDS; k++)
		words[k] = k;
	partner = start_partner();
	for (int turn = 0; turn < TURNS; turn++) {
		double floor_ns = time_floor(&partner), pair_ns = time_pairs(words);

		if (!turn)
			continue; /* the first checkpoint makes the store */
		bench__emit(samples, "file_pair", "off", argv[2], 4096, 0, floor_ns);
		bench__emit(samples, "file_pair", "on", argv[2], 4096, 0, pair_ns);
	}
	free(words);
	return 0;
}
