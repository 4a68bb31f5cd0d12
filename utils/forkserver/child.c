/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See child.h. After shared->run has been passed, the fuzzer goes on, and the run is over: nothing
 * may change what others see of it (its status, shared memory, offsets of files).
 */
#include "forkserver/child.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/single_threaded.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/raw_syscall.h"
#include "rollback/rollback.h"

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
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != with->server)
		(void)kill(getpid(), SIGKILL);
}

/* The rollback is done: waits for the next run. */
static void await_run(void)
{
	signal_actions__put_back(&shared->signals);
	stop_timers();
	if (descriptors__put_back(&shared->descriptors) != 0) {
		shared->must_end = "the target closes descriptors that are not its own";
		(void)raw_syscall__call(SYS_exit_group, 1, 0, 0, 0);
	}
	if (rollback__stats(shared->rollback)->ended_threads)
		shared->off = "the target starts threads";
	turn__pass(&shared->ready);
	turn__await(&shared->run, shared->spins);
}

/* There is no checkpoint. */
static void give_up(int err)
{
	shared->child = 0;
	shared->off = err == -EBUSY ? "the target has threads already" : strerrordesc_np(-err);
	shared = NULL;
}

void child__begin(struct shared *with)
{
	const struct rollback_options options = {.flags = ROLLBACK_CLOSE_NEW |
							  ROLLBACK_FIXED_SIGNALS};
	const pid_t thread = own_thread();
	const int kept_errno = errno;
	int result;

	die_with_server(with);
	with->must_end = NULL;
	with->stdin_offset = lseek(STDIN_FILENO, 0, SEEK_CUR);
	turn__adopt(&with->run, thread);
	turn__adopt(&with->ready, thread);
	signal_actions__keep(&with->signals);
	with->child = thread;
	shared = with;
	result = descriptors__keep(&with->descriptors);
	if (result == 0)
		result = rollback__take(&with->rollback, &options);
	if (result > 0) {
		await_run();
	} else {
		if (result < 0)
			give_up(result);
		turn__pass(&with->ready);
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
	if (shared->must_end || shared->off)
		return;
	if (shared->stdin_offset >= 0)
		(void)raw_syscall__call(SYS_lseek, STDIN_FILENO, (uint64_t)shared->stdin_offset,
					SEEK_SET, 0);
	shared->status = W_EXITCODE(status & 0xff, 0);
	turn__take(&shared->ready, shared->child);
	turn__pass(&shared->run);
	rollback__back(shared->rollback);
}

void child__note_signal(int number)
{
	if (is_child())
		signal_actions__note(&shared->signals, number);
}

void child__must_end(const char *reason)
{
	if (is_child())
		shared->must_end = reason;
}
