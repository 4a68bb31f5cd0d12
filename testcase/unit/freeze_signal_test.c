/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of freeze with signals. A child is stopped, stepped and released all the time. Its signals
 * must be neither lost nor delivered too early, and job control must go on as if nobody had stopped
 * it. The child counts in shared memory. It is killed by its pid and reaped.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "target/freeze.h"
#include "tap.h"
#include "valgrind.h"

#define SIGNALS 61

static struct shared { /* with the child */
	volatile __u64 polls, signals;
} * shared;

static struct freeze *freeze;

/* A pause, long enough for a thread that runs to be seen to move. */
static int stands_still(void)
{
	__u64 before = shared->polls, signals = shared->signals;

	(void)usleep(23000);
	return shared->polls == before && shared->signals == signals;
}

static int moves(void)
{
	__u64 before = shared->polls;

	for (unsigned int i = 0; i < CHILD_LOOKS && shared->polls == before; i++)
		(void)usleep(1000);
	return shared->polls != before;
}

static void count_signal(int number)
{
	(void)number;
	shared->signals++;
}

static void poll_for_ever(void)
{
	const struct sigaction action = {.sa_handler = count_signal};

	(void)sigaction(SIGUSR1, &action, NULL);
	(void)sigaction(SIGRTMIN, &action, NULL);
	for (;;) {
		(void)access("/no/such/file", F_OK);
		shared->polls++;
	}
}

/* Starts a child that polls; returns once it has. */
static pid_t start(void)
{
	pid_t child;

	memset(shared, 0, sizeof(*shared));
	child = child__start(poll_for_ever);
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

static void test_signal(void)
{
	pid_t child = start();

	must(freeze__stop(freeze, 0));
	must(kill(child, SIGUSR1));
	tap__ok(stands_still() && shared->signals == 0, "a signal at a stopped process waits");
	freeze__release(freeze);
	tap__ok(child__wait_count(&shared->signals, 1), "and reaches it after the release");
	tap__ok(moves() && shared->signals == 1, "once");
	end(child);
}

/* Queued signals arrive at any moment of a stop or a release; each must be handled once. */
static void test_signal_storm(void)
{
	const union sigval value = {.sival_int = 23};
	pid_t child = start(), sender;
	unsigned int failed = 0, stops = 0;

	sender = fork();
	if (sender == 0) {
		for (unsigned int i = 0; i < SIGNALS; i++) {
			(void)sigqueue(child, SIGRTMIN, value);
			(void)usleep(300);
		}
		_exit(0);
	}
	while (waitpid(sender, NULL, WNOHANG) == 0) {
		failed += freeze__stop(freeze, 0) != 0;
		freeze__release(freeze);
		stops++;
	}
	tap__equal(failed, 0, "signals during %u stops: each stop succeeds", stops);
	tap__ok(child__wait_count(&shared->signals, SIGNALS) && moves(), "each signal is handled");
	tap__equal(shared->signals, SIGNALS, "once");
	end(child);
}

static void test_step(void)
{
	unsigned int wrong = 0;
	pid_t child;

	if (under_valgrind()) {
		tap__skip(3, "valgrind holds a program's signals back");
		return;
	}
	child = start();
	must(freeze__stop(freeze, 0));
	for (unsigned int i = 0; i < 23; i++) {
		__u64 before = shared->polls;

		must(kill(child, SIGUSR1));
		wrong += freeze__step_to_poll(freeze, child, &shared->polls) != 0 ||
			 shared->polls != before + 1 || shared->signals != i + 1;
	}
	tap__equal(wrong, 0, "23 steps to a poll, a signal before each: it is handled on the way");
	tap__ok(stands_still(), "then it stands still");
	freeze__release(freeze);
	tap__ok(moves() && shared->signals == 23, "released, it polls on; no signal comes twice");
	end(child);
}

static void test_group_stop(void)
{
	pid_t child = start();

	must(kill(child, SIGSTOP));
	child__wait_state(child, 'T');
	tap__equal(freeze__stop(freeze, 0), 0, "a process that job control has stopped");
	freeze__release(freeze);
	child__wait_state(child, 'T');
	tap__ok(stands_still() && child__state(child) == 'T', "stays so after the release");
	must(kill(child, SIGCONT));
	tap__ok(moves(), "until it is continued");
	must(freeze__stop(freeze, 0));
	must(kill(child, SIGSTOP));
	freeze__release(freeze);
	child__wait_state(child, 'T');
	tap__ok(stands_still() && child__state(child) == 'T',
		"SIGSTOP during our stop works after it");
	end(child);
}

int main(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	must(shared == MAP_FAILED);
	tap__plan(13);
	test_signal();
	test_signal_storm();
	test_step();
	test_group_stop();
	(void)munmap(shared, sizeof(*shared));
	return tap__done();
}
