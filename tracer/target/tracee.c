/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See tracee.h. Nothing here waits with WEXITED: the exit status of a child belongs to program.c.
 */
#include "target/tracee.h"

#include <errno.h>
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

void tracee__begin_waits(struct tracee_waits *waits)
{
	sigset_t stops;

	if (waits->begun)
		return;
	(void)sigemptyset(&stops);
	(void)sigaddset(&stops, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &stops, &waits->mask);
	waits->begun = true;
	waits->has_taken = waits->looks_first = false;
}

void tracee__end_waits(struct tracee_waits *waits)
{
	if (!waits->begun)
		return;
	if (waits->has_taken && sigismember(&waits->mask, SIGCHLD))
		(void)raise(SIGCHLD);
	(void)sigprocmask(SIG_SETMASK, &waits->mask, NULL);
	waits->begun = false;
}

/* Sleeps until it stops. */
static int sleep_until_stop(struct tracee_waits *waits, pid_t tid, uint64_t deadline_ns,
			    int *ret_status)
{
	const struct timespec longest = {.tv_nsec = LOOK_AGAIN_NS};
	sigset_t stops;
	int result;

	(void)sigemptyset(&stops);
	(void)sigaddset(&stops, SIGCHLD);
	do {
		waits->has_taken |= sigtimedwait(&stops, NULL, &longest) == SIGCHLD;
		result = look(tid, ret_status);
	} while (!result && clock__now_ns() < deadline_ns);
	return result ? result : -REASON_NOT_STOPPED;
}

/* It does not call sched_yield(2), which gives away a slice of time at each call: if a process runs
 * on the same processor, the caller then waits for milliseconds (seen with Linux 6.18). */
int tracee__wait_stop(struct tracee_waits *waits, pid_t tid, uint64_t awake_ns,
		      uint64_t deadline_ns, int *ret_status)
{
	const bool looks = waits->looks_first || awake_ns || !deadline_ns;
	const uint64_t sleep_ns = looks ? clock__now_ns() + awake_ns : 0;
	int result = 0;

	if (looks)
		do {
			result = look(tid, ret_status);
		} while (!result && clock__now_ns() < sleep_ns);
	if (!result && clock__now_ns() >= deadline_ns)
		return -REASON_NOT_STOPPED;
	if (!result)
		result = sleep_until_stop(waits, tid, deadline_ns, ret_status);
	waits->looks_first = true;
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
