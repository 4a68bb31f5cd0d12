/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of inject: a child that is blocked in a system call, or computes, must not notice that it
 * has made another call for us. The call ends as it would have ended, and registers, signal mask,
 * handlers, descriptors and mappings are as before. The tracer is killed at each system call of its
 * helper. Every child is killed by its pid and reaped. inject_refused_test.c has the refusals.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../open_files.h"
#include "base/procfs.h"
#include "blocked_calls.h"
#include "injected_child.h"
#include "target/inject.h"
#include "target/reason.h"
#include "tap.h"
#include "valgrind.h"

enum { SIGNALS = 523 };

/* ---- what can be seen of a process ---- */

struct seen {
	char maps[1 << 15], status[1 << 12], call[1 << 8];
	unsigned int files;
};

static void read_whole(pid_t pid, const char *name, char *text, size_t size)
{
	ssize_t n = procfs__read(pid, name, text, size - 1);

	text[n > 0 ? n : 0] = '\0';
}

/* The lines of its signals, and that of its tracer. */
static void look_at_status(pid_t pid, char *text, size_t size)
{
	char status[1 << 12], *line, *rest = status;
	size_t used = 0;

	read_whole(pid, "status", status, sizeof(status));
	*text = '\0';
	while ((line = strsep(&rest, "\n")))
		if ((!strncmp(line, "Sig", 3) && line[3] != 'Q') || !strncmp(line, "TracerPid", 9))
			used += (size_t)snprintf(text + used, size - used, "%s\n", line);
}

static void look(pid_t pid, struct seen *seen)
{
	read_whole(pid, "maps", seen->maps, sizeof(seen->maps));
	look_at_status(pid, seen->status, sizeof(seen->status));
	read_whole(pid, "syscall", seen->call, sizeof(seen->call));
	seen->files = open_files__count(pid);
}

/* Number, arguments, stack and place of the call are in call; a call that is restarted by another
 * one has another number. */
static bool is_same(const struct seen *a, const struct seen *b, bool same_call)
{
	return !strcmp(a->maps, b->maps) && !strcmp(a->status, b->status) && a->files == b->files &&
	       (!same_call || !strcmp(a->call, b->call));
}

/* Waits until it is as before: a busy machine may take long to run it, and sigsuspend has its own
 * mask only once it is called again. */
static bool looks_same(pid_t pid, const struct seen *before, bool same_call)
{
	static struct seen now;

	for (unsigned int i = 0; i < CHILD_LOOKS; i++) {
		look(pid, &now);
		if (is_same(&now, before, same_call))
			return true;
		(void)usleep(1000);
	}
	tap__note("before: %s%u files; now: %s%u files", before->status, before->files, now.status,
		  now.files);
	return false;
}

/* ---- alone ---- */

static int64_t (*chosen_call)(void);

static void do_chosen(void)
{
	call_and_stay(chosen_call);
}

/* Waits until it sleeps in its call. */
static void wait_blocked(pid_t child)
{
	child__wait_state(child, 'S');
}

/* Injects while it is blocked, then lets its call end. */
static void test_blocked(const struct blocked *b)
{
	static struct seen before;
	unsigned int failed = 0;
	bool same, right;
	pid_t child;
	int uffd = -1;

	must(pipe2(pipe_ends, O_CLOEXEC));
	semaphore = semget(IPC_PRIVATE, 1, 0600);
	must(semaphore < 0);
	chosen_call = b->call;
	child = start(do_chosen);
	wait_blocked(child);
	look(child, &before);
	for (unsigned int i = 0; i < 3; i++) {
		uffd = inject__userfaultfd(child);
		failed += !is_of_child(uffd);
		if (uffd >= 0)
			(void)close(uffd);
	}
	same = looks_same(child, &before, false);
	(void)usleep(2300); /* were it to end by mistake */
	right = b->end == end_by_itself || !shared->ended;
	b->end(child);
	right = right && child__wait_count(&shared->ended, 1) && shared->result == b->result &&
		(b->error == 0 || shared->error == b->error) &&
		shared->mask_before == shared->mask_after &&
		shared->handled == (b->end == end_by_signal);
	tap__ok(!failed && same && right, "%s: three userfaultfds, and it ends as it would have",
		b->name);
	if (failed || !same || !right)
		tap__note("failed %u (%s), same %d, result %lld, errno %d, handled %llu", failed,
			  uffd < 0 ? reason__text(uffd) : "", same, (long long)shared->result,
			  shared->error, (unsigned long long)shared->handled);
	child__end(child);
	must(semctl(semaphore, 0, IPC_RMID));
	(void)close(pipe_ends[0]);
	(void)close(pipe_ends[1]);
}

/* All registers but the stack pointer have values of their own, and are looked at for ever. */
static void keep_registers(void)
{
	prepare();
	shared->begun++;
	__asm__ volatile("push %%rbp\n\t"
			 "mov $2301, %%rax\n\tmov $2302, %%rbx\n\tmov $2303, %%rcx\n\t"
			 "mov $2304, %%rdx\n\tmov $2305, %%rsi\n\tmov $2306, %%rbp\n\t"
			 "mov $2307, %%r8\n\tmov $2308, %%r9\n\tmov $2309, %%r10\n\t"
			 "mov $2310, %%r11\n\tmov $2311, %%r12\n\tmov $2312, %%r13\n\t"
			 "mov $2313, %%r14\n\tmov $2314, %%r15\n\t"
			 "1: incq (%%rdi)\n\t"
			 "cmp $2301, %%rax\n\tjne 2f\n\tcmp $2302, %%rbx\n\tjne 2f\n\t"
			 "cmp $2303, %%rcx\n\tjne 2f\n\tcmp $2304, %%rdx\n\tjne 2f\n\t"
			 "cmp $2305, %%rsi\n\tjne 2f\n\tcmp $2306, %%rbp\n\tjne 2f\n\t"
			 "cmp $2307, %%r8\n\tjne 2f\n\tcmp $2308, %%r9\n\tjne 2f\n\t"
			 "cmp $2309, %%r10\n\tjne 2f\n\tcmp $2310, %%r11\n\tjne 2f\n\t"
			 "cmp $2311, %%r12\n\tjne 2f\n\tcmp $2312, %%r13\n\tjne 2f\n\t"
			 "cmp $2313, %%r14\n\tjne 2f\n\tcmp $2314, %%r15\n\tje 1b\n\t"
			 "2: pop %%rbp"
			 :
			 : "D"(&shared->counts[0])
			 : "rax", "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12",
			   "r13", "r14", "r15", "cc", "memory");
	shared->ended++;
	for (;;)
		(void)pause();
}

static unsigned int inject_often(pid_t child)
{
	unsigned int failed = 0;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		const __u64 count = shared->counts[0];
		int uffd = inject__userfaultfd(child);

		failed += !is_of_child(uffd) || !child__wait_count(&shared->counts[0], count + 1);
		if (uffd >= 0)
			(void)close(uffd);
	}
	return failed;
}

static void test_busy(void)
{
	static struct seen before;
	pid_t child = start(keep_registers);

	look(child, &before);
	tap__equal(inject_often(child), 0, "%d times into a busy loop, which goes on each time",
		   ROUNDS);
	tap__ok(!shared->ended, "with all its registers");
	tap__ok(looks_same(child, &before, false), "mappings, files and signals are as before");
	child__end(child);
}

/* A call that would sleep for ever, and one after it. */
static void test_sleep(void)
{
	static struct seen before;
	const uint64_t none[6] = {0};
	struct inject *inject = NULL;
	int64_t result = 0, number = 0;
	pid_t child = start(keep_registers);
	int err;

	look(child, &before);
	must(inject__open(child, &inject));
	err = inject__call(inject, SYS_pause, none, &result);
	tap__ok(!err && result == -EINTR, "a call that sleeps is interrupted");
	err = inject__call(inject, SYS_getpid, none, &number);
	tap__ok(!err && number == child, "and the next one returns");
	must(inject__close(inject));
	tap__ok(child__wait_count(&shared->counts[0], shared->counts[0] + 1) && !shared->ended &&
			looks_same(child, &before, false),
		"the process goes on, with all its registers");
	child__end(child);
}

/* A handler that is blocked, with a mask of its own. */
static void stay_in_handler(int number)
{
	char byte;

	(void)number;
	shared->begun++;
	shared->result = read(pipe_ends[0], &byte, 1);
	(void)syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &shared->mask_after, 8);
}

static void raise_and_stay(void)
{
	struct sigaction action = {.sa_handler = stay_in_handler};

	prepare();
	(void)sigaddset(&action.sa_mask, SIGHUP);
	must(sigaction(SIGUSR1, &action, NULL));
	(void)raise(SIGUSR1);
	(void)syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &shared->mask_before, 8);
	shared->ended++;
	for (;;)
		(void)pause();
}

static void test_handler(void)
{
	static struct seen before;
	const uint64_t outside = 1ULL << (SIGUSR2 - 1);
	const uint64_t inside = outside | 1ULL << (SIGUSR1 - 1) | 1ULL << (SIGHUP - 1);
	pid_t child;
	int uffd;

	must(pipe2(pipe_ends, O_CLOEXEC));
	child = start(raise_and_stay);
	wait_blocked(child);
	look(child, &before);
	uffd = inject__userfaultfd(child);
	tap__ok(is_of_child(uffd) && looks_same(child, &before, true), "inside of a handler");
	end_by_pipe(child);
	tap__ok(child__wait_count(&shared->ended, 1) && shared->result == 1 &&
			shared->mask_after == inside && shared->mask_before == outside,
		"which ends, and its mask with it");
	(void)close(uffd);
	child__end(child);
	(void)close(pipe_ends[0]);
	(void)close(pipe_ends[1]);
}

static void test_stopped(void)
{
	pid_t child = start(count_for_ever);
	static struct seen before;
	int uffd, status = 0;
	__u64 count;

	must(kill(child, SIGSTOP));
	must(waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status));
	look(child, &before);
	count = shared->counts[0];
	uffd = inject__userfaultfd(child);
	child__wait_state(child, 'T');
	tap__ok(is_of_child(uffd) && child__state(child) == 'T' && shared->counts[0] == count &&
			looks_same(child, &before, false),
		"a process that job control has stopped, and that remains so");
	tap__equal(waitpid(child, &status, WUNTRACED | WCONTINUED | WNOHANG), 0,
		   "its parent is not told of a stop again");
	must(kill(child, SIGCONT));
	tap__ok(child__wait_count(&shared->counts[0], count + 1), "until it is continued");
	(void)close(uffd);
	child__end(child);
}

/*
 * Spins for ever inside of a restartable sequence: each time it is preempted, its abort handler
 * begins it anew. Were it put back into the sequence, nothing would abort it any more.
 */
static void spin_in_sequence(void)
{
	char *thread;

	prepare();
	shared->begun++;
	__asm__("mov %%fs:0, %0" : "=r"(thread));
	__asm__ volatile(".pushsection __rseq_cs, \"aw\"\n\t.balign 32\n\t"
			 "3: .long 0, 0\n\t.quad 1f, 2f - 1f, 4f\n\t.popsection\n\t"
			 "5: lea 3b(%%rip), %%rax\n\tmov %%rax, (%0)\n\t"
			 "1: incq (%1)\n\tjmp 1b\n\t"
			 "2: .byte 0x0f, 0xb9, 0x3d\n\t.long %c3\n\t"
			 "4: incq (%2)\n\tjmp 5b"
			 :
			 : "r"(thread + __rseq_offset + offsetof(struct rseq, rseq_cs)),
			   "r"(&shared->counts[0]), "r"(&shared->counts[1]), "i"(RSEQ_SIG)
			 : "rax", "memory", "cc");
}

static void test_sequence(void)
{
	unsigned int failed = 0, stuck = 0;
	pid_t child;

	if (!__rseq_size) {
		tap__skip(1, "the C library registers no rseq");
		return;
	}
	child = start(spin_in_sequence);
	for (unsigned int i = 0; i < ROUNDS && !stuck; i++) {
		const __u64 aborts = shared->counts[1];
		int uffd;

		(void)child__wait_count(&shared->counts[0], shared->counts[0] + 1);
		uffd = inject__userfaultfd(child);
		failed += uffd < 0;
		stuck += !child__wait_count(&shared->counts[1], aborts + 1);
		if (uffd >= 0)
			(void)close(uffd);
	}
	tap__ok(!failed && !stuck, "%d times into a restartable sequence, which aborts", ROUNDS);
	child__end(child);
}

/* ---- threads and signals ---- */

static void *count_in_thread(void *counter)
{
	for (;;)
		++*(volatile __u64 *)counter;
	return NULL;
}

static void count_in_threads(void)
{
	pthread_t thread;

	prepare();
	for (int i = 1; i < THREADS; i++)
		if (pthread_create(&thread, NULL, count_in_thread, (void *)&shared->counts[i]) != 0)
			_exit(1);
	shared->begun++;
	count_in_thread((void *)&shared->counts[0]);
}

static void test_threads(void)
{
	pid_t child = start(count_in_threads);
	unsigned int stuck = 0;
	__u64 counts[THREADS];

	tap__equal(inject_often(child), 0, "%d times into a process with %d threads", ROUNDS,
		   THREADS);
	for (int i = 0; i < THREADS; i++)
		counts[i] = shared->counts[i];
	for (int i = 0; i < THREADS; i++)
		stuck += !child__wait_count(&shared->counts[i], counts[i] + 1);
	tap__equal(stuck, 0, "and they all run on");
	child__end(child);
}

static void count_signals(void)
{
	prepare();
	handle(SIGRTMIN);
	shared->begun++;
	for (;;) {
		shared->counts[0]++;
		(void)sched_yield();
	}
}

/* Queued signals come at any moment; each must be handled once. */
static void test_signals(void)
{
	const union sigval value = {.sival_int = 23};
	pid_t child = start(count_signals), sender = fork();
	unsigned int failed = 0, rounds = 0;

	if (sender == 0) {
		for (unsigned int i = 0; i < SIGNALS; i++) {
			(void)sigqueue(child, SIGRTMIN, value);
			(void)usleep(100);
		}
		_exit(0);
	}
	while (waitpid(sender, NULL, WNOHANG) == 0) {
		int uffd = inject__userfaultfd(child);

		failed += !is_of_child(uffd);
		if (uffd >= 0)
			(void)close(uffd);
		rounds++;
	}
	tap__equal(failed, 0, "%u times, while signals arrive", rounds);
	tap__ok(child__wait_count(&shared->handled, SIGNALS) && shared->handled == SIGNALS,
		"each signal is handled once");
	child__end(child);
}

/* ---- the tracer is killed ---- */

static pid_t victim;

static void inject_for_ever(void)
{
	(void)raise(SIGSTOP);
	for (;;) {
		int uffd = inject__userfaultfd(victim);

		if (uffd < 0)
			_exit(1);
		(void)close(uffd);
	}
}

static int wait_for(pid_t pid)
{
	int status = 0;

	must(waitpid(pid, &status, __WALL) != pid);
	return status;
}

/* Lets the tracer run until it has made its helper, which stops before its first call. */
static pid_t start_helper(pid_t tracer)
{
	unsigned long helper = 0;
	int status;

	must(waitpid(tracer, &status, WUNTRACED) != tracer || !WIFSTOPPED(status));
	must(ptrace(PTRACE_SEIZE, tracer, NULL, PTRACE_O_TRACEVFORK | PTRACE_O_TRACESYSGOOD));
	must(kill(tracer, SIGCONT));
	do {
		status = wait_for(tracer);
		must(!WIFSTOPPED(status));
		if (status >> 16 != PTRACE_EVENT_VFORK)
			must(ptrace(PTRACE_CONT, tracer, NULL, NULL));
	} while (status >> 16 != PTRACE_EVENT_VFORK);
	must(ptrace(PTRACE_GETEVENTMSG, tracer, NULL, &helper));
	must(ptrace(PTRACE_CONT, tracer, NULL, NULL));
	status = wait_for((pid_t)helper);
	must(!WIFSTOPPED(status));
	return (pid_t)helper;
}

/* Kills the tracer once its helper has made so many calls. Returns whether it has made that many:
 * if not, it has ended before. */
static bool kill_after(unsigned int calls)
{
	pid_t tracer = child__start(inject_for_ever), helper = start_helper(tracer);
	bool ended = false;

	for (unsigned int stops = 0; stops < 2 * calls && !ended; stops++) {
		must(ptrace(PTRACE_SYSCALL, helper, NULL, NULL));
		ended = !WIFSTOPPED(wait_for(helper));
	}
	must(kill(tracer, SIGKILL));
	while (!WIFSIGNALED(wait_for(tracer)))
		;
	if (ended)
		return false;
	must(ptrace(PTRACE_DETACH, helper, NULL, NULL));
	child__wait_state(helper, 'Z');
	must(waitpid(helper, NULL, __WALL) != helper);
	return true;
}

static void test_killed(void)
{
	static struct seen before;
	unsigned int calls = 0, wrong = 0;
	pid_t child = start(keep_registers);

	victim = child;
	look(child, &before);
	while (kill_after(calls)) {
		wrong += !runs() || shared->ended || !looks_same(child, &before, false);
		calls++;
	}
	tap__equal(wrong, 0, "the tracer is killed after each of the %u calls of its helper",
		   calls);
	child__end(child);
	must(pipe2(pipe_ends, O_CLOEXEC));
	chosen_call = call_epoll;
	child = start(do_chosen);
	victim = child;
	wait_blocked(child);
	look(child, &before);
	wrong = 0;
	for (unsigned int i = 0; i < calls; i += 3) {
		(void)kill_after(i);
		wrong += shared->ended || !looks_same(child, &before, true);
	}
	end_by_pipe(child);
	tap__ok(!wrong && child__wait_count(&shared->ended, 1) && shared->result == 1,
		"likewise, of a process that is blocked in epoll_wait");
	child__end(child);
}

int main(void)
{
	enum { TESTS = BLOCKED + 18 };

	tap__plan(TESTS);
	if (under_valgrind()) {
		tap__skip(TESTS, "valgrind runs the children, and makes calls of its own");
		return tap__done();
	}
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	share();
	for (int i = 0; i < BLOCKED; i++)
		test_blocked(&blocked[i]);
	test_busy();
	test_sleep();
	test_handler();
	test_stopped();
	test_sequence();
	test_threads();
	test_signals();
	test_killed();
	(void)munmap(shared, sizeof(*shared));
	return tap__done();
}
