/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of freeze on children that count in shared memory. A counter stands still exactly while its
 * thread does. Threads that start meanwhile must be caught, and a parent must hear of the end of
 * its child. freeze_signal_test has the signals. Every child is killed by its pid and reaped; no
 * test asserts on a clock.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/procfs.h"
#include "child.h"
#include "target/freeze.h"
#include "target/reason.h"
#include "tap.h"
#include "valgrind.h"

#define THREADS 23

static struct shared { /* with the children */
	volatile __u64 counts[THREADS];
	volatile __u64 born, traced;
	volatile pid_t tid;
	char path[64]; /* of a file that is not there yet */
} * shared;

static struct freeze *freeze;

/* Of all threads but the first. */
static __u64 count_others(void)
{
	__u64 sum = shared->born;

	for (int i = 1; i < THREADS; i++)
		sum += shared->counts[i];
	return sum;
}

static __u64 total(void)
{
	return count_others() + shared->counts[0];
}

/* A pause, long enough for a thread that runs to be seen to move. */
static int stands_still(void)
{
	__u64 before = total();

	(void)usleep(23000);
	return total() == before;
}

static int moves(void)
{
	__u64 before = total();

	for (unsigned int i = 0; i < CHILD_LOOKS && total() == before; i++)
		(void)usleep(1000);
	return total() != before;
}

/* ---- what children do ---- */

static void poll_for_ever(void)
{
	for (;;) {
		(void)access("/no/such/file", F_OK);
		shared->counts[0]++;
	}
}

/* Counts its polls until the file is there, then tells their number. */
static void poll_for_file(void)
{
	do
		shared->counts[0]++;
	while (access(shared->path, F_OK));
	shared->counts[1] = shared->counts[0];
	(void)pause();
}

static void *count_in_thread(void *counter)
{
	for (;;) {
		++*(volatile __u64 *)counter;
		(void)usleep(100);
	}
	return NULL;
}

static void count_in_threads(void)
{
	pthread_t thread;

	for (int i = 1; i < THREADS; i++)
		if (pthread_create(&thread, NULL, count_in_thread, (void *)&shared->counts[i]) != 0)
			_exit(1);
	shared->tid = (pid_t)syscall(SYS_gettid);
	count_in_thread((void *)&shared->counts[0]);
}

static void *be_born(void *unused)
{
	shared->born++;
	return unused;
}

/* Threads that live for a moment, so one is always unknown. */
static void bear_threads(void)
{
	pthread_t thread;

	for (;;) {
		if (pthread_create(&thread, NULL, be_born, NULL) != 0)
			_exit(1);
		(void)pthread_join(thread, NULL);
	}
}

/* Starts a child that runs work for ever. Returns once its first counter has moved. */
static pid_t start(void (*work)(void))
{
	pid_t child;

	memset(shared, 0, sizeof(*shared));
	child = child__start(work);
	must(child < 0 || !moves());
	must(freeze__create(child, true, &freeze));
	return child;
}

static void end(pid_t child)
{
	freeze__free(freeze);
	freeze = NULL;
	child__end(child);
}

/* ---- the tests ---- */

static void test_stop(void)
{
	pid_t child = start(poll_for_ever);

	freeze__release(freeze);
	tap__ok(moves(), "a release before any stop is harmless");
	tap__equal(freeze__stop(freeze, 0), 0, "stop");
	tap__ok(stands_still(), "it stands still");
	tap__ok(freeze__stop(freeze, 0) == 0 && stands_still(), "stopped twice");
	freeze__release(freeze);
	tap__ok(moves(), "released");
	freeze__release(freeze);
	tap__ok(freeze__stop(freeze, 0) == 0 && stands_still(), "stopped again");
	freeze__free(freeze);
	freeze = NULL;
	tap__ok(moves(), "freed: it runs");
	tap__ok(waitpid(child, NULL, WNOHANG) == 0, "and has not ended");
	end(child);
	freeze__free(NULL);
}

static void test_threads(void)
{
	pid_t child = start(count_in_threads);
	__u64 own, others;

	for (int i = 0; i < THREADS; i++)
		must(!child__wait_count(&shared->counts[i], 1));
	tap__ok(freeze__stop(freeze, 0) == 0 && stands_still(), "%d threads stand still", THREADS);
	if (under_valgrind()) {
		tap__skip(5, "a thread that is stopped may hold the lock of valgrind's threads");
		end(child);
		return;
	}
	freeze__release(freeze);
	tap__equal(freeze__stop(freeze, shared->tid), 0, "all but one");
	own = shared->counts[0];
	others = count_others();
	tap__ok(child__wait_count(&shared->counts[0], own + 23), "that one runs");
	tap__equal(count_others(), others, "the others do not");
	tap__ok(freeze__stop(freeze, 0) == 0 && stands_still(), "then that one as well");
	freeze__release(freeze);
	own = 0;
	for (int i = 0; i < THREADS; i++)
		own += !child__wait_count(&shared->counts[i], shared->counts[i] + 1);
	tap__equal(own, 0, "all of them run again");
	end(child);
}

static void test_births(void)
{
	unsigned int moved = 0, failed = 0, stuck = 0;
	pid_t child = start(bear_threads);

	for (unsigned int i = 0; i < THREADS; i++) {
		__u64 before;

		failed += freeze__stop(freeze, 0) != 0;
		before = shared->born;
		(void)usleep(2300);
		moved += shared->born != before;
		freeze__release(freeze);
		stuck += !child__wait_count(&shared->born, before + 3);
	}
	tap__ok(!failed && !moved, "threads are born all the time: %u failed, %u not caught",
		failed, moved);
	tap__equal(stuck, 0, "and live on after each release");
	end(child);
}

/* Waits until each thread is a zombie. */
static void wait_end_of_threads(pid_t pid)
{
	size_t count = 0;
	pid_t *tids = NULL;

	if (procfs__threads(pid, &tids, &count) == 0)
		for (size_t i = 0; i < count; i++)
			child__wait_state(tids[i], 'Z');
	free(tids);
}

static void test_step(void)
{
	const volatile __u64 *polls = &shared->counts[0];
	unsigned int wrong = 0;
	pid_t child = start(poll_for_ever);
	__u64 before;

	tap__equal(freeze__step_to_poll(freeze, child, polls), -ESRCH, "a thread that runs");
	must(freeze__stop(freeze, 0));
	for (unsigned int i = 0; i < 23; i++) {
		before = *polls;
		wrong += freeze__step_to_poll(freeze, child, polls) != 0 || *polls != before + 1;
	}
	tap__equal(wrong, 0, "23 times, one poll each");
	tap__ok(stands_still(), "then it stands still");
	tap__equal(freeze__step_to_poll(freeze, child + 1, polls), -ESRCH, "no such thread");
	freeze__release(freeze);
	tap__ok(moves(), "released, it polls on");
	end(child);
}

static void test_interrupt(void)
{
	pid_t child = start(poll_for_ever);

	tap__ok(freeze__interrupt(freeze, child) == 0 && freeze__stop(freeze, 0) == 0 &&
			stands_still(),
		"interrupted, then waited for: it stands still");
	freeze__release(freeze);
	tap__ok(moves(), "released, it runs");
	end(child);
}

/* The child stands still at the end of a poll that found no file. Then the file is made. */
static void test_repeat(void)
{
	struct user_regs_struct registers;
	__u64 polls;
	pid_t child;
	int fd;

	memset(shared, 0, sizeof(*shared));
	(void)snprintf(shared->path, sizeof(shared->path), "/tmp/freeze_test.%d", getpid());
	child = child__start(poll_for_file);
	must(child < 0 || !moves());
	must(freeze__create(child, true, &freeze));
	must(freeze__stop(freeze, 0));
	do {
		must(ptrace(PTRACE_SYSCALL, child, NULL, NULL));
		must(waitpid(child, NULL, __WALL) != child);
		must(ptrace(PTRACE_GETREGS, child, NULL, &registers));
	} while ((long)registers.rax != -ENOENT);
	polls = shared->counts[0];
	fd = open(shared->path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	must(fd < 0 || close(fd));
	freeze__repeat_poll(freeze, child);
	freeze__release(freeze);
	must(!child__wait_count(&shared->counts[1], 1));
	tap__equal(shared->counts[1], polls, "a poll that is repeated finds the file");
	must(unlink(shared->path));
	end(child);
}

static void test_killed(void)
{
	pid_t child = start(count_in_threads);
	int status = 0;

	must(freeze__stop(freeze, 0));
	must(kill(child, SIGKILL));
	wait_end_of_threads(child);
	tap__equal(freeze__step_to_poll(freeze, child, &shared->counts[0]), -ESRCH,
		   "killed while it is held");
	freeze__release(freeze);
	tap__ok(waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
			WTERMSIG(status) == SIGKILL,
		"its status is there for its parent");
	freeze__free(freeze);
	freeze = NULL;
	child = fork();
	if (child == 0)
		_exit(23);
	child__wait_state(child, 'Z');
	must(freeze__create(child, true, &freeze));
	tap__equal(freeze__stop(freeze, 0), -ESRCH, "stop: a zombie");
	tap__ok(waitpid(child, &status, 0) == child && WIFEXITED(status) &&
			WEXITSTATUS(status) == 23,
		"which is left to its parent");
	freeze__free(freeze);
	freeze = NULL;
}

/* A child of another process is killed while we hold it. Its parent must hear of it. */
static void test_killed_foreign(void)
{
	pid_t parent, child = 0;
	int status = 0;

	memset(shared, 0, sizeof(*shared));
	parent = fork();
	if (parent == 0) {
		pid_t grandchild = fork();

		if (grandchild == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			shared->tid = getpid();
			poll_for_ever();
		}
		if (waitpid(grandchild, &status, 0) != grandchild || !WIFSIGNALED(status))
			_exit(1);
		_exit(WTERMSIG(status));
	}
	must(parent < 0 || !moves() || !child__wait_count(&shared->counts[0], 23));
	child = shared->tid;
	must(child <= 0);
	must(freeze__create(child, false, &freeze));
	tap__ok(freeze__stop(freeze, 0) == 0 && stands_still(), "a child of somebody else");
	must(kill(child, SIGKILL));
	child__wait_state(child, 'Z');
	freeze__release(freeze);
	freeze__free(freeze);
	freeze = NULL;
	tap__ok(waitpid(parent, &status, 0) == parent && WIFEXITED(status) &&
			WEXITSTATUS(status) == SIGKILL,
		"is killed while it is held: its parent hears of it");
}

static void test_traced(void)
{
	pid_t child = start(poll_for_ever), tracer = fork();

	must(tracer < 0);
	if (tracer == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		shared->traced = ptrace(PTRACE_SEIZE, child, NULL, NULL) == 0 ? 23 : 1;
		for (;;)
			(void)pause();
	}
	(void)child__wait_count(&shared->traced, 1);
	if (shared->traced == 23) {
		tap__equal(freeze__stop(freeze, 0), -REASON_TRACED, "somebody else traces it");
		tap__ok(moves(), "it runs on");
	} else {
		tap__skip(2, "no process may trace its sibling here");
	}
	child__end(tracer);
	tap__ok(freeze__stop(freeze, 0) == 0 && stands_still(), "and no more: it can be stopped");
	end(child);
}

int main(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	must(shared == MAP_FAILED);
	tap__plan(33);
	test_stop();
	test_threads();
	test_births();
	test_step();
	test_interrupt();
	test_repeat();
	test_killed();
	test_killed_foreign();
	test_traced();
	(void)munmap(shared, sizeof(*shared));
	return tap__done();
}
