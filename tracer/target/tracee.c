/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See tracee.h. Nothing here waits with WEXITED: the exit status of a child belongs to program.c.
 */
#include "target/tracee.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <time.h>
#include "base/clock.h"
#include "base/procfs.h"
#include "target/reason.h"

enum { LOOK_AGAIN_NS = 50000000 }; /* if nothing tells: SIGCHLD is ignored */

/* Returns 1 and *ret_status; 0 if it has not stopped; or as tracee__wait_stop. */
static int look(pid_t tid, int *ret_status)
{
	siginfo_t info = {0};

	if (waitid(P_PID, (id_t)tid, &info, WSTOPPED | WNOHANG | __WALL))
		return errno == ECHILD ? -ESRCH : -errno;
	if (info.si_pid != tid)
		return 0;
	*ret_status = info.si_status;
	return 1;
}

/* Sleeps until it stops: the kernel tells each stop by SIGCHLD. If the caller has that signal
 * blocked, because it waits for its children, it gets one back. */
static int sleep_until_stop(pid_t tid, uint64_t deadline_ns, int *ret_status)
{
	const struct timespec longest = {.tv_nsec = LOOK_AGAIN_NS};
	sigset_t stops, mask;
	bool has_taken = false;
	int result;

	(void)sigemptyset(&stops);
	(void)sigaddset(&stops, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &stops, &mask);
	while (!(result = look(tid, ret_status)) && clock__now_ns() < deadline_ns)
		has_taken |= sigtimedwait(&stops, NULL, &longest) == SIGCHLD;
	if (has_taken && sigismember(&mask, SIGCHLD))
		(void)raise(SIGCHLD);
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
	return result ? result : -REASON_NOT_STOPPED;
}

/* It does not call sched_yield(2), which gives away a slice of time at each call: if a process runs
 * on the same processor, the caller then waits for milliseconds (seen with Linux 6.18). */
int tracee__wait_stop(pid_t tid, uint64_t awake_ns, uint64_t deadline_ns, int *ret_status)
{
	const uint64_t sleep_ns = clock__now_ns() + awake_ns;
	int result;

	do {
		result = look(tid, ret_status);
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
