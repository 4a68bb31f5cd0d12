/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A thread that the caller traces with ptrace(2): what freeze.h and inject.h have in common.
 */
#ifndef TRACER_TARGET_TRACEE_H
#define TRACER_TARGET_TRACEE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The waits of one stop. The kernel tells each stop by SIGCHLD, which the caller has blocked from
 * begin to end. If it was blocked before, because the caller waits for its children, the caller
 * gets one back at the end. These calls take time, so they are apart from the waits themselves.
 */
struct tracee_waits { /* zeroed: has not begun */
	sigset_t mask;
	bool begun;
	bool has_taken;   /* a signal */
	bool looks_first; /* it may have been that of the next stop */
};

/* Harmless if they have begun. To be called before the thread is told to stop. */
void tracee__begin_waits(struct tracee_waits *waits);

/* Waits for a stop of tid, for awake_ns without sleep, then until clock__now_ns() is deadline_ns.
 * Does not reap a thread that has ended. *ret_status: waitid's si_status, which is
 * signal | event << 8. Returns 0, -ESRCH, -REASON_NOT_STOPPED at the deadline, or -errno. */
int tracee__wait_stop(struct tracee_waits *waits, pid_t tid, uint64_t awake_ns,
		      uint64_t deadline_ns, int *ret_status);

/* Harmless if they have not begun. */
void tracee__end_waits(struct tracee_waits *waits);

/* Why PTRACE_SEIZE of tid refused with EPERM: -REASON_TRACED, -REASON_PTRACE_FORBIDDEN, or -ESRCH
 * if it has ended. */
int tracee__refusal(pid_t tid);

#endif
