/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See child.h. The child tells its status before it rolls back, so that the fuzzer can go on
 * meanwhile. From then on the run is over: nothing may change what others see of it (shared memory,
 * offsets of files).
 */
#include "forkserver/child.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/single_threaded.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/raw_syscall.h"
#include "forkserver/protocol.h"
#include "rollback/rollback.h"

enum {
	JUDGED_RUNS = 16,
	/* fork(2) itself is about a third of what a child costs, with its faults and its end. */
	WORTH_FORKS = 3,
};

static struct shared *shared; /* NULL: this process does not roll back */

static pid_t own_thread(void)
{
	return (pid_t)raw_syscall__call(SYS_gettid, 0, 0, 0, 0);
}

/* Is this the thread that has taken the checkpoint? Not so in its children. */
static bool is_child(void)
{
	return shared && own_thread() == shared->child;
}

/* Other threads than this one. Those that were not made with pthread_create(3) are noticed by the
 * rollback. */
static bool has_threads(void)
{
	struct stat status;

	return !__libc_single_threaded &&
	       (stat("/proc/self/task", &status) != 0 || status.st_nlink != 3);
}

static bool has_children(void)
{
	return raw_syscall__call(SYS_waitid, P_ALL, 0, 0, WEXITED | WNOHANG | WNOWAIT | __WALL) !=
	       -ECHILD;
}

/* The kernel keeps them for a process; a child of fork(2) has none. */
static void stop_timers(void)
{
	const struct itimerval none = {.it_value = {0}};

	for (int timer = ITIMER_REAL; timer <= ITIMER_PROF; timer++)
		(void)raw_syscall__call(SYS_setitimer, (uint64_t)timer, (uint64_t)&none, 0, 0);
}

/* Never leaves this process behind when the server ends. */
static void die_with_server(const struct shared *with)
{
	(void)raw_syscall__call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0);
	if (getppid() != with->server)
		(void)kill(getpid(), SIGKILL);
}

static void put_back_prctl(void)
{
	if (!shared->is_renamed)
		return;
	shared->is_renamed = false;
	(void)raw_syscall__call(SYS_prctl, PR_SET_NAME, (uint64_t)shared->name, 0, 0);
	(void)raw_syscall__call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0);
}

/* A process has less processor time left for each run. Half of a limit is left to the last one. */
static bool has_little_time(void)
{
	return shared->processor_ns &&
	       clock__read_ns(CLOCK_PROCESS_CPUTIME_ID) > shared->processor_ns / 2;
}

static uint64_t find_processor_ns(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_CPU, &limit) != 0 || limit.rlim_cur > UINT32_MAX)
		return 0;
	return limit.rlim_cur * UINT64_C(1000000000);
}

__attribute__((noreturn)) static void leave(const char *reason)
{
	shared->must_end = reason;
	for (;;)
		(void)raw_syscall__call(SYS_exit_group, 1, 0, 0, 0);
}

/* Tells the fuzzer the word at this offset. False if it is not told. */
static bool tell(int64_t word)
{
	shared->told = word;
	return raw_syscall__call(
		       SYS_sendfile, (uint64_t)descriptors__copy(&shared->descriptors, ANSWER_FD),
		       (uint64_t)shared->file, (uint64_t)&shared->told, WORD_BYTES) == WORD_BYTES;
}

/* Waits for the next command. */
static void read_command(void)
{
	const int commands = descriptors__copy(&shared->descriptors, COMMAND_FD);
	long got;

	do
		got = raw_syscall__call(SYS_read, (uint64_t)commands, (uint64_t)&shared->command,
					WORD_BYTES, 0);
	while (got == -EINTR);
	if (got != WORD_BYTES)
		leave(NULL); /* the fuzzer has ended */
}

static bool is_judged(void)
{
	return shared->runs <= JUDGED_RUNS;
}

/* Looks at the first rollbacks: is a new child the better choice? It may be for terabytes of
 * addresses, as an address sanitizer has. */
static void judge(void)
{
	uint64_t took_ns;

	if (!is_judged())
		return;
	took_ns = clock__read_ns(CLOCK_THREAD_CPUTIME_ID) - shared->end_ns;
	if (!shared->rollback_ns || took_ns < shared->rollback_ns)
		shared->rollback_ns = took_ns;
	if (shared->runs == JUDGED_RUNS && shared->rollback_ns > WORTH_FORKS * shared->fork_ns) {
		shared->off = "a rollback takes longer than a fork";
		leave(NULL);
	}
}

/* The memory is that of the checkpoint: puts back the rest, and begins the next run when the fuzzer
 * wants it. */
static void begin_run(void)
{
	signal_actions__put_back(&shared->signals);
	stop_timers();
	put_back_prctl();
	if (descriptors__put_back(&shared->descriptors) != 0)
		leave("the target closes descriptors that are not its own");
	if (rollback__stats(shared->rollback)->ended_threads) {
		shared->off = "the target starts threads";
		leave(NULL);
	}
	judge();
	read_command();
	shared->runs++;
	if (!tell(WORD_PID))
		leave(NULL);
}

/* There is no checkpoint. */
static void give_up(int err)
{
	shared->child = 0;
	shared->off = err == -EBUSY ? "the target has threads already" : strerrordesc_np(-err);
	shared = NULL;
}

/* Everything for the first run. Returns as rollback__take. */
static int prepare(pid_t process)
{
	const struct rollback_options options = {.flags = ROLLBACK_FIXED_SIGNALS};
	int err = descriptors__keep(&shared->descriptors);

	shared->must_end = NULL;
	shared->stdin_offset = lseek(STDIN_FILENO, 0, SEEK_CUR);
	signal_actions__keep(&shared->signals);
	shared->processor_ns = find_processor_ns();
	shared->is_renamed = false;
	(void)raw_syscall__call(SYS_prctl, PR_GET_NAME, (uint64_t)shared->name, 0, 0);
	shared->runs = 1;
	shared->rollback_ns = 0;
	shared->child = process;
	shared->words[STATUSES].word = (uint32_t)process;
	shared->told = TOLD_PID; /* by the server */
	return err ? err : rollback__take(&shared->rollback, &options);
}

void child__begin(struct shared *with, int server)
{
	const int kept_errno = errno;
	int result;
	char byte = 0;

	die_with_server(with);
	shared = with;
	result = prepare(own_thread());
	if (result > 0) {
		begin_run();
	} else {
		if (result < 0)
			give_up(result);
		(void)raw_syscall__call(SYS_write, (uint64_t)server, (uint64_t)&byte, 1, 0);
		(void)raw_syscall__call(SYS_read, (uint64_t)server, (uint64_t)&byte, 1, 0);
		(void)raw_syscall__call(SYS_close, (uint64_t)server, 0, 0, 0);
		descriptors__know(&with->descriptors);
	}
	errno = kept_errno;
}

void child__end(int status)
{
	if (!is_child())
		return;
	if (has_threads())
		shared->off = "the target starts threads";
	else if (!shared->must_end && has_children())
		shared->must_end = "the target has children";
	else if (!shared->must_end && has_little_time())
		shared->must_end = "the processor time is limited";
	if (shared->must_end || shared->off)
		return;
	if (shared->stdin_offset >= 0)
		(void)raw_syscall__call(SYS_lseek, STDIN_FILENO, (uint64_t)shared->stdin_offset,
					SEEK_SET, 0);
	shared->command = NO_COMMAND;
	if (!tell((int64_t)WORD_DISTANCE * (status & 0xff)))
		return;
	if (is_judged())
		shared->end_ns = clock__read_ns(CLOCK_THREAD_CPUTIME_ID);
	rollback__back(shared->rollback);
}

/* A child of this process may call it, too. Then one action more is put back, which is harmless. */
void child__note_signal(int number)
{
	if (shared)
		signal_actions__note(&shared->signals, number);
}

void child__note_prctl(void)
{
	if (is_child())
		shared->is_renamed = true;
}

void child__must_end(const char *reason)
{
	if (is_child())
		shared->must_end = reason;
}
