/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Run by bench.sh under the tracer: pairs of checkpoint and restore. A program asks for them with
 * the client library (client_pair "on"), and without it, with fopen(3) and a loop of access(2) and
 * sleep(0) (file_pair "on"). Beside each, in the same process and turn by turn, stands the least
 * that such a pair needs ("off"): two files, two round trips through pipes to another process, and
 * for the second two sleeps.
 *
 * A restore rolls the heap back: what must survive it is on the stack.
 */
#include <limits.h>
#include <stdbool.h>
#include <unistd.h>
#include "bench.h"
#include "client/client.h"

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

static void do_without(const struct partner *partner, bool sleeps)
{
	char path[PATH_MAX], byte = 0;

	path_of("bench_files", path);
	make_file(path);
	if (sleeps)
		(void)sleep(0);
	if (write(partner->ask_fd, &byte, 1) != 1 || read(partner->answer_fd, &byte, 1) != 1)
		BENCH_DIE("the other process does not answer");
	if (remove(path))
		BENCH_DIE("cannot remove %s", path);
}

static double time_floor(const struct partner *partner, bool sleeps)
{
	uint64_t start_ns = bench__now_ns();

	for (int i = 0; i < PAIRS_PER_TURN * 2; i++)
		do_without(partner, sleeps);
	return (double)(bench__now_ns() - start_ns) / PAIRS_PER_TURN;
}

static void ask_by_file(bool restore)
{
	if (restore)
		ask("ready_to_restore", "restore_complete");
	else
		ask("ready_to_checkpoint", "checkpoint_complete");
}

static void ask_by_client(bool restore)
{
	int err = restore ? client__restore(0) : client__save(0);

	errno = 0;
	if (err)
		BENCH_DIE("the tracer does not answer: %s", client__strerror(err));
}

static double time_pairs(volatile uint32_t *words, void (*ask_for)(bool restore))
{
	uint64_t start_ns = bench__now_ns();

	for (int i = 0; i < PAIRS_PER_TURN; i++) {
		ask_for(false);
		for (uint32_t k = 0; k < WORDS; k++)
			words[k] = ~k;
		ask_for(true);
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

	bench__check_usage(argc, argv, argc != 3, "bench_files SAMPLES ENGINE");
	samples = bench__open_samples(argv[1]);
	words = malloc(WORDS * sizeof(*words));
	if (!words)
		BENCH_DIE("no memory");
	for (uint32_t k = 0; k < WORDS; k++)
		words[k] = k;
	partner = start_partner();
	for (int turn = 0; turn < TURNS; turn++) {
		double sleepy_ns = time_floor(&partner, true);
		double file_ns = time_pairs(words, ask_by_file);
		double floor_ns = time_floor(&partner, false);
		double client_ns = time_pairs(words, ask_by_client);

		if (!turn)
			continue; /* the first checkpoint makes the store */
		bench__emit(samples, "file_pair", "off", "-", 4096, 0, sleepy_ns);
		bench__emit(samples, "file_pair", "on", argv[2], 4096, 0, file_ns);
		bench__emit(samples, "client_pair", "off", "-", 4096, 0, floor_ns);
		bench__emit(samples, "client_pair", "on", argv[2], 4096, 0, client_ns);
	}
	close(samples);
	free(words);
	return 0;
}
