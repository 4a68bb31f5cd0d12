/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See tracee.h. Nothing here waits with WEXITED: the exit status of a child belongs to program.c.
 */
#include "target/tracee.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/procfs.h"
#include "target/reason.h"

enum { WAKE_AGAIN_NS = 50000000 }; /* if the alarm came before the wait */

#define ALARM (SIGRTMAX - 1) /* valgrind keeps the last one for itself */

/* Interrupts a wait, and does nothing else. */
static void wake(int signal)
{
	(void)signal;
}

/* Returns 1 and *ret_status; 0 if it has not stopped, or a signal came; or as tracee__wait_stop. */
static int look(pid_t tid, int flags, int *ret_status)
{
	siginfo_t info = {0};

	if (waitid(P_PID, (id_t)tid, &info, WSTOPPED | __WALL | flags))
		return errno == EINTR ? 0 : errno == ECHILD ? -ESRCH : -errno;
	if (info.si_pid != tid)
		return 0;
	*ret_status = info.si_status;
	return 1;
}

/* Sleeps until it stops. The alarm is a signal to this thread, which may block all (helper.h). */
static int sleep_until_stop(pid_t tid, uint64_t deadline_ns, int *ret_status)
{
	const struct sigaction action = {.sa_handler = wake};
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = ALARM};
	const struct itimerspec alarm = {
		.it_value = {.tv_sec = (time_t)(deadline_ns / 1000000000),
			     .tv_nsec = (long)(deadline_ns % 1000000000)},
		.it_interval = {.tv_nsec = WAKE_AGAIN_NS},
	};
	struct sigaction before;
	sigset_t alarms, mask;
	timer_t timer;
	int result = 0;

	event._sigev_un._tid = gettid();
	if (sigaction(ALARM, &action, &before))
		return -errno;
	if (timer_create(CLOCK_MONOTONIC, &event, &timer)) {
		result = -errno;
		goto out;
	}
	(void)sigemptyset(&alarms);
	(void)sigaddset(&alarms, ALARM);
	(void)sigprocmask(SIG_UNBLOCK, &alarms, &mask);
	(void)timer_settime(timer, TIMER_ABSTIME, &alarm, NULL);
	while (!result && clock__now_ns() <= deadline_ns)
		result = look(tid, 0, ret_status);
	(void)timer_delete(timer);
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
out:
	(void)sigaction(ALARM, &before, NULL);
	return result ? result : -REASON_NOT_STOPPED;
}

/* It does not call sched_yield(2), which gives away a slice of time at each call: if a process runs
 * on the same processor, the caller then waits for milliseconds (seen with Linux 6.18). */
int tracee__wait_stop(pid_t tid, uint64_t awake_ns, uint64_t deadline_ns, int *ret_status)
{
	const uint64_t sleep_ns = clock__now_ns() + awake_ns;
	int result;

	do {
		result = look(tid, WNOHANG, ret_status);
	} while (!result && clock__now_ns() < sleep_ns);
	if (!result && clock__now_ns() >= deadline_ns)
		return -REASON_NOT_STOPPED;
	if (!result)
		result = sleep_until_stop(tid, deadline_ns, ret_status);
	return result < 0 ? result : 0;
}

/* A thread that has ended refuses too, but has no memory. */
int tracee__refusal(pid_t tid)
{
	uint64_t size, tracer = 0;
	int err = procfs__status_u64(tid, "VmSize", &size);

	if (err == -ESRCH || err == -ENOENT)
		return -ESRCH;
	(void)procfs__status_u64(tid, "TracerPid", &tracer);
	return tracer ? -REASON_TRACED : -REASON_PTRACE_FORBIDDEN;
}
