/* SPDX-License-Identifier: BSD-2-Clause
 *
 * May the caller attach to a process? Each refusal has a reason that says what to do about it.
 */
#ifndef TRACER_ATTACH_MAY_ATTACH_H
#define TRACER_ATTACH_MAY_ATTACH_H

#include <sys/types.h>

/* Looks at process pid. Returns 0 with *ret_tid, its first thread, or another one if that has
 * ended; -ESRCH; -REASON_SELF, -REASON_KERNEL_THREAD, -REASON_NOT_A_PROCESS, -REASON_PID_NAMESPACE,
 * -REASON_TRACED, -REASON_CALLS_FOREIGN (32-bit), -REASON_OTHER_USER, -REASON_YAMA,
 * -REASON_PTRACE_FORBIDDEN; or another -errno. */
int may_attach__check(pid_t pid, pid_t *ret_tid);

/* Why the kernel refused access to process pid, which nobody traces: -REASON_OTHER_USER,
 * -REASON_YAMA or -REASON_PTRACE_FORBIDDEN. */
int may_attach__refusal(pid_t pid);

#endif
