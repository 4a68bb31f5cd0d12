/* SPDX-License-Identifier: BSD-2-Clause
 *
 * librollback: what it refuses and with which error, nested checkpoints, and many rollbacks without
 * growth. refusals [ROUNDS]: so many of these.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rollback/rollback.h"
#include "../unit/tap.h"

enum { USUAL_ROUNDS = 1000, WARM = 200, KINDS = 97, MORE = 97, LOCKED_PAGES = 64 << 8 };
#define PAGE 4096UL

/* No rollback changes it. */
static struct {
	int rounds, status;
	long before[3], after[3];
} * kept;

static void *wait_for_end(void *argument)
{
	char c;

	(void)!read(*(int *)argument, &c, 1);
	return NULL;
}

static void refuse_threads(void)
{
	struct rollback *const untouched = (struct rollback *)&kept, *rollback = untouched;
	pthread_t thread;
	int ends[2];

	must(pipe(ends));
	must(pthread_create(&thread, NULL, wait_for_end, &ends[0]));
	tap__equal(rollback__take(&rollback, NULL), -EBUSY, "another thread runs: -EBUSY");
	tap__ok(rollback == untouched, "the pointer is untouched then");
	must(close(ends[1]));
	must(pthread_join(thread, NULL));
	must(close(ends[0]));
}

static void refuse_options(void)
{
	const struct rollback_options unknown = {.flags = 1U << 30};
	const struct rollback_options no_way = {.way = (enum rollback_way)23};
	struct rollback *rollback = NULL;

	tap__equal(rollback__take(&rollback, &unknown), -EINVAL, "an unknown flag: -EINVAL");
	tap__equal(rollback__take(&rollback, &no_way), -EINVAL, "an unknown way: -EINVAL");
}

static void exclude_too_much(void)
{
	struct rollback *rollback;
	int count = 0;

	must(rollback__take(&rollback, NULL) != 0);
	tap__equal(rollback__exclude(rollback, (void *)-23L, 46), -EINVAL,
		   "an excluded range that wraps around: -EINVAL");
	while (rollback__exclude(rollback, &count, sizeof(count)) == 0)
		count++;
	tap__equal(count, ROLLBACK_EXCLUDED, "%d ranges can be excluded", ROLLBACK_EXCLUDED);
	rollback__free(rollback);
	rollback__free(NULL);
}

static struct rollback *of_handler;

static void restore_in_handler(int number)
{
	(void)number;
	kept->status = rollback__restore(of_handler);
}

static void refuse_other_stack(void)
{
	stack_t stack = {.ss_size = 1 << 16};
	struct sigaction action = {.sa_handler = restore_in_handler, .sa_flags = SA_ONSTACK};

	stack.ss_sp = malloc(stack.ss_size);
	must(sigaltstack(&stack, NULL));
	must(sigaction(SIGUSR1, &action, NULL));
	must(rollback__take(&of_handler, NULL) != 0);
	must(raise(SIGUSR1));
	tap__equal(kept->status, -EPERM, "restore on an alternate stack: -EPERM");
	rollback__free(of_handler);
	stack.ss_flags = SS_DISABLE;
	must(sigaltstack(&stack, NULL));
	free(stack.ss_sp);
}

/* Another file has taken the place of one that was mapped. */
static void die_loudly(void)
{
	char path[] = "/tmp/rollback-refusals.XXXXXX", line[256] = "";
	int file = mkstemp(path), ends[2];
	struct rollback *rollback;
	pid_t pid;

	must(file < 0 || ftruncate(file, PAGE) || pipe(ends));
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		void *at = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, 0);

		must(at == MAP_FAILED || dup2(ends[1], STDERR_FILENO) < 0);
		must(rollback__take(&rollback, NULL) != 0);
		must(munmap(at, PAGE) || unlink(path));
		rollback__back(rollback);
	}
	must(pid < 0 || waitpid(pid, &kept->status, 0) != pid);
	must(read(ends[0], line, sizeof(line) - 1) < 0);
	tap__ok(WIFSIGNALED(kept->status) && WTERMSIG(kept->status) == SIGABRT,
		"a mapped file that is gone ends the process with SIGABRT");
	tap__ok(strstr(line, "a mapping that is gone cannot be made again"), "it says why");
	must(close(file) || close(ends[0]) || close(ends[1]));
}

enum { DEEP = 64 };

static void nest_deeply(void)
{
	struct rollback *outermost = NULL, *inner;
	volatile int depth = 0;
	int err;

	while ((err = rollback__take(depth ? &inner : &outermost, NULL)) == 0)
		depth++;
	tap__ok(depth == DEEP && err == -E2BIG, "%d checkpoints inside each other, no more: %d, %d",
		DEEP, depth, err);
	rollback__free(outermost);
}

/* Neighbours of the same kind count once: the kernel does not join two mappings that were written
 * apart from each other. The allocator of AddressSanitizer has such mappings. */
static long count_mappings(FILE *maps)
{
	unsigned long start, end, last_end = 0;
	char line[4096], kind[4096], last_kind[4096] = "";
	long count = 0;

	while (fgets(line, sizeof(line), maps)) {
		must(sscanf(line, "%lx-%lx %4095[^\n]", &start, &end, kind) != 3);
		count += start != last_end || strcmp(kind, last_kind) != 0;
		last_end = end;
		(void)snprintf(last_kind, sizeof(last_kind), "%s", kind);
	}
	return count;
}

static void look_at_growth(long numbers[3])
{
	FILE *statm = fopen("/proc/self/statm", "re"), *maps = fopen("/proc/self/maps", "re");

	must(!statm || !maps || fscanf(statm, "%ld %ld", &numbers[0], &numbers[1]) != 2);
	numbers[2] = maps ? count_mappings(maps) : 0;
	must(!statm || fclose(statm) || !maps || fclose(maps));
}

/* The library reserves many more addresses than it uses. */
static void lock_all_memory(void)
{
	struct rollback *rollback;
	long numbers[3];
	pid_t pid;

	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
			_exit(2);
		kept->status = rollback__take(&rollback, NULL);
		look_at_growth(numbers);
		_exit(numbers[1] > LOCKED_PAGES);
	}
	must(pid < 0 || waitpid(pid, &kept->rounds, 0) != pid);
	if (WEXITSTATUS(kept->rounds) == 2 || kept->status == -EAGAIN || kept->status == -ENOMEM)
		tap__skip(1, "it may not lock its memory");
	else
		tap__ok(kept->status == 0 && kept->rounds == 0,
			"with mlockall(2), memory that is reserved is not used");
}

/* There are KINDS of rounds: after the first WARM rounds, each of them has been there twice. */
static void change_much(int round)
{
	unsigned char *at =
		mmap(NULL, 23 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	void *blocks[29];

	must(at == MAP_FAILED);
	memset(at, round, 23 * PAGE);
	for (int i = 0; i < 29; i++)
		blocks[i] = calloc(1, (size_t)((i * 997 + round) % 20000 + 1));
	free(blocks[7]);
	must(open("/dev/null", O_RDONLY | O_CLOEXEC) < 0);
}

static void go_back_often(int rounds)
{
	const struct rollback_options options = {.flags = ROLLBACK_CLOSE_NEW};
	struct rollback *rollback;

	kept->rounds = 0;
	must(rollback__take(&rollback, &options) < 0);
	if (kept->rounds == WARM)
		look_at_growth(kept->before);
	if (kept->rounds++ < rounds) {
		change_much(kept->rounds % KINDS);
		rollback__back(rollback);
	}
	look_at_growth(kept->after);
	tap__equal(rollback__stats(rollback)->rollbacks, rounds, "%d rollbacks", rounds);
	tap__equal(kept->after[0], kept->before[0], "the address space has not grown since");
	tap__note("resident: %ld pages, then %ld", kept->before[1], kept->after[1]);
	tap__ok(kept->after[1] <= kept->before[1] + MORE, "nor has memory, by more than %d pages",
		MORE);
	tap__equal(kept->after[2], kept->before[2], "nor has the number of mappings");
	rollback__free(rollback);
}

int main(int argc, char **argv)
{
	const int rounds = argc > 1 ? atoi(argv[1]) : USUAL_ROUNDS;

	kept = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(kept == MAP_FAILED || rounds <= WARM);
	tap__plan(15);
	refuse_threads();
	refuse_options();
	exclude_too_much();
	refuse_other_stack();
	die_loudly();
	nest_deeply();
	lock_all_memory();
	go_back_often(rounds);
	return tap__done();
}
