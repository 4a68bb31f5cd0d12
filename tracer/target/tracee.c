/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See tracee.h. Nothing here waits with WEXITED: the exit status of a child belongs to program.c.
 */
#include "target/tracee.h"

#include <errno.h>
#include <sched.h>
#include <sys/wait.h>
#include <time.h>
#include "base/clock.h"
#include "base/procfs.h"
#include "target/reason.h"

enum { SPINS = 200 };

int tracee__wait_stop(pid_t tid, uint64_t deadline_ns, int *ret_status)
{
	const struct timespec nap = {.tv_nsec = 50000};

	for (unsigned int spin = 0;; spin++) {
		siginfo_t info = {0};

		if (waitid(P_PID, (id_t)tid, &info, WSTOPPED | WNOHANG | __WALL) && errno != EINTR)
			return errno == ECHILD ? -ESRCH : -errno;
		if (info.si_pid == tid) {
			*ret_status = info.si_status;
			return 0;
		}
		if (clock__now_ns() > deadline_ns)
			return -REASON_NOT_STOPPED;
		if (spin < SPINS)
			sched_yield();
		else
			nanosleep(&nap, NULL);
	}
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
