/* SPDX-License-Identifier: BSD-2-Clause
 *
 * librollback: checkpoints of so much memory that a helper copies a part of it, or that it lies in
 * dense zones (store.h, zones.h). Each act is a process of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rollback/rollback.h"
#include "../unit/tap.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#endif

#define PAGE  4096UL
#define DENSE (2UL << 20)
#define LARGE ((37UL << 20) + 3 * PAGE)

enum {
	RUNS = 53,   /* of DENSE bytes, in one mapping */
	ROUNDS = 41, /* so many make a zone one that is copied back as a whole */
	STEPS = 997, /* of a helper: it is inside its first block */
	SKIPPED = 2,
};

/* As far from others that the kernel merges nothing with it. */
static unsigned char *map(size_t bytes)
{
	unsigned char *at = mmap((void *)0x200000000000, bytes, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (at == MAP_FAILED || madvise(at, bytes, MADV_NOHUGEPAGE))
		_exit(1);
	return at;
}

static void fill(unsigned char *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		at[i] = (unsigned char)(i * 2654435761U >> 13 | 1);
}

static bool is_filled(const unsigned char *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (at[i] != (unsigned char)(i * 2654435761U >> 13 | 1))
			return false;
	return true;
}

/* ---- the acts: they return whether all went well ---- */

static bool copy_much(void)
{
	unsigned char *at = map(LARGE);
	const struct rollback_range all = {at, LARGE};
	const struct rollback_options options = {.ranges = &all, .range_count = 1};
	struct rollback *rollback;

	fill(at, LARGE);
	if (rollback__take(&rollback, &options))
		return false;
	if (waitpid(-1, NULL, __WALL) >= 0 || errno != ECHILD)
		return false;
	memset(at, 0, LARGE);
	return rollback__restore(rollback) == 0 && is_filled(at, LARGE);
}

/* With absent pages between them, so that each run is a zone. */
static bool have_many_runs(void)
{
	static struct rollback *rollback;
	unsigned char *at = map(RUNS * (DENSE + PAGE));
	const struct rollback_options options = {.flags = ROLLBACK_CLOSE_NEW};
	int err;

	for (size_t i = 0; i < RUNS; i++)
		fill(at + i * (DENSE + PAGE), DENSE);
	err = rollback__take(&rollback, &options);
	if (err < 0)
		return false;
	if (err == 0) {
		memset(at, 0, RUNS * (DENSE + PAGE));
		rollback__back(rollback);
	}
	for (size_t i = 0; i < RUNS; i++)
		if (!is_filled(at + i * (DENSE + PAGE), DENSE))
			return false;
	return fcntl(STDOUT_FILENO, F_GETFD) >= 0;
}

/* As many stored pages lie beside the dense run as the part before it has pages; but that has an
 * absent page and, where the kernel knows guards, a guard. */
static bool have_holes(void)
{
	static struct rollback *rollback;
	unsigned char *at = map(16 * PAGE + DENSE + 4 * PAGE), *dense = at + 16 * PAGE;
	const struct rollback_options options = {.flags = ROLLBACK_FIXED_MAPPINGS};
	uint64_t rounds;

	for (size_t i = 0; i < 14; i++)
		fill(at + i * PAGE, PAGE);
	(void)madvise(at + 14 * PAGE, PAGE, MADV_GUARD_INSTALL);
	fill(dense, DENSE);
	fill(dense + DENSE + PAGE, PAGE);
	fill(dense + DENSE + 2 * PAGE, PAGE);
	if (rollback__take(&rollback, &options) < 0)
		return false;
	rounds = rollback__stats(rollback)->rollbacks;
	for (size_t i = 0; i < 14; i++)
		if (!is_filled(at + i * PAGE, PAGE))
			return false;
	if (!is_filled(dense, DENSE) || at[15 * PAGE] || dense[DENSE])
		return false;
	if (rounds == ROUNDS)
		return true;
	memset(at + rounds / 3 % 13 * PAGE, 0, PAGE);
	at[15 * PAGE] = 1;
	rollback__back(rollback);
}

/* A helper would be the first process of the namespace, and its last one. */
static bool fork_in_namespace(void)
{
	pid_t child;

	if (unshare(CLONE_NEWPID))
		_exit(SKIPPED);
	if (!copy_much())
		return false;
	child = fork();
	if (child == 0)
		_exit(0);
	return child > 0 && waitpid(child, NULL, 0) == child;
}

static bool copy_traced(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 && raise(SIGSTOP) == 0 && copy_much();
}

static void run(bool (*act)(void), const char *name)
{
	pid_t child;
	int status = 0;

	(void)fflush(stdout);
	child = fork();
	must(child < 0);
	if (child == 0)
		_exit(!act());
	must(waitpid(child, &status, 0) != child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
		tap__skip(1, "no PID namespace can be made here");
	else
		tap__equal(status, 0, "%s", name);
}

/* ---- a helper that gets a signal ---- */

static void go_on(enum __ptrace_request how, pid_t pid, int signal)
{
	must(ptrace(how, pid, NULL, (void *)(long)signal));
}

static int wait_for(pid_t pid)
{
	int status = 0;

	must(waitpid(pid, &status, __WALL) != pid);
	return status;
}

/* The signal comes when the helper has taken a block and has not copied all of it. */
static void signal_helper(pid_t helper, int signal)
{
	(void)wait_for(helper);
	for (int i = 0; i < STEPS; i++) {
		go_on(PTRACE_SINGLESTEP, helper, 0);
		must(!WIFSTOPPED(wait_for(helper)));
	}
	go_on(PTRACE_DETACH, helper, signal);
}

static void lose_helper(int signal)
{
	unsigned long helper = 0;
	pid_t child;
	int status;

	(void)fflush(stdout);
	child = fork();
	must(child < 0);
	if (child == 0)
		_exit(!copy_traced());
	(void)wait_for(child);
	must(ptrace(PTRACE_SETOPTIONS, child, NULL,
		    (void *)(PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL)));
	go_on(PTRACE_CONT, child, 0);
	status = wait_for(child);
	if (WIFEXITED(status)) {
		tap__skip(1, "one processor, or a filter of system calls: there is no helper");
		return;
	}
	must(status >> 8 != (SIGTRAP | PTRACE_EVENT_CLONE << 8));
	must(ptrace(PTRACE_GETEVENTMSG, child, NULL, &helper));
	signal_helper((pid_t)helper, signal);
	go_on(PTRACE_DETACH, child, 0);
	tap__equal(wait_for(child), 0, "a helper that gets signal %d: all bytes go back", signal);
}

int main(void)
{
	tap__plan(6);
	run(copy_much, "37 MiB: no helper is left, and all bytes go back");
	lose_helper(SIGKILL);
	lose_helper(SIGSTOP);
	run(fork_in_namespace, "in a new PID namespace, the process can fork afterwards");
	run(have_many_runs, "53 dense runs in one mapping: bytes and descriptors are right");
	run(have_holes, "pages without bytes beside a dense run stay without");
	return tap__done();
}
