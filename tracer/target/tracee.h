/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A thread that the caller traces with ptrace(2): what freeze.h and inject.h have in common.
 */
#ifndef TRACER_TARGET_TRACEE_H
#define TRACER_TARGET_TRACEE_H

#include <stdint.h>
#include <sys/types.h>

/* Waits for a stop of tid, for awake_ns without sleep, then until clock__now_ns() is deadline_ns.
 * Does not reap a thread that has ended. *ret_status: waitid's si_status, which is
 * signal | event << 8. Returns 0, -ESRCH, -REASON_NOT_STOPPED at the deadline, or -errno. */
int tracee__wait_stop(pid_t tid, uint64_t awake_ns, uint64_t deadline_ns, int *ret_status);

/* Why PTRACE_SEIZE of tid refused with EPERM: -REASON_TRACED, -REASON_PTRACE_FORBIDDEN, or -ESRCH
 * if it has ended. */
int tracee__refusal(pid_t tid);

#endif
