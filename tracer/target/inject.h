/* SPDX-License-Identifier: BSD-2-Clause
 *
 * System calls that a process makes for us. All its threads are stopped with ptrace(2). The first
 * one makes the calls, with all signals blocked, by an instruction that its memory has already.
 * Afterwards its registers and its signal mask are as before. A call of its own that
 * was interrupted goes on or ends, as after SIGSTOP and SIGCONT. Nothing is written to its memory.
 *
 * If the caller dies between inject__open and inject__close, the thread goes on with registers that
 * are not its own. inject__userfaultfd works in a process of its own, which outlives its caller.
 */
#ifndef TRACER_TARGET_INJECT_H
#define TRACER_TARGET_INJECT_H

#include <stdint.h>
#include <sys/types.h>
#include "base/intervals.h"

struct inject;

/*
 * Stops process pid, which the caller does not trace yet. A process that job control has stopped
 * remains so.
 * Returns 0 and *ret_inject; -ESRCH; -ENOMEM; a reason (reason.h): -REASON_TRACED,
 * -REASON_PTRACE_FORBIDDEN, -REASON_NOT_STOPPED (a parent inside vfork(2)), -REASON_CALLS_FILTERED
 * (seccomp, or syscall user dispatch, could end it for such a call), -REASON_CALLS_FOREIGN (it runs
 * 32-bit or x32 code), -REASON_NO_SYSCALL (no place has the instruction); or -errno. On failure it
 * runs on, as if nothing had happened; after -REASON_NOT_STOPPED it stops later, and runs on when
 * the caller has ended.
 */
int inject__open(pid_t pid, struct inject **ret_inject);

/*
 * The same for a process whose threads the caller has stopped (freeze.h) and lets go of after
 * inject__close; thread tid makes the calls. Until the first call nothing changes. From then on the
 * death of the caller kills the process (PTRACE_O_EXITKILL), also after inject__close. So it never
 * goes on with registers that are not its own.
 */
int inject__open_held(pid_t pid, pid_t tid, struct inject **ret_inject);

/* From now on calls are made by an instruction outside of ranges: they are about to be unmapped, or
 * to get other bytes. Returns 0; -REASON_NO_SYSCALL; -ESRCH; or another -errno. */
int inject__avoid(struct inject *inject, const struct intervals *ranges);

/*
 * Lets it make the system call nr. Not for calls that set the mask, or that end the thread.
 * *ret_result is what the kernel returned, which is -4095 to -1 for an error; -EINTR if the call
 * slept for two seconds, and was interrupted. Returns 0; -REASON_NOT_STOPPED: it cannot be;
 * -ESRCH; or another -errno. On failure, whether the call was made is not known, *ret_result is
 * untouched, and only inject__close is to follow.
 */
int inject__call(struct inject *inject, long nr, const uint64_t args[6], int64_t *ret_result);

/* The same, which also fails if the call does. *ret_value: the address or number that it returned;
 * NULL: not wanted. Returns 0; what inject__call() returns; or the -errno of the call. */
int inject__checked_call(struct inject *inject, int64_t *ret_value, long nr, uint64_t a, uint64_t b,
			 uint64_t c, uint64_t d, uint64_t e);

/* Lets the thread of inject__open_held, not the first one of its process, end itself with exit(2),
 * and frees. Returns 0 when it has ended; or -errno. */
int inject__exit(struct inject *inject);

/* Puts registers and mask back, lets go of all threads, and frees. inject__close(NULL) is harmless.
 * Returns 0; -ESRCH; or another -errno: then the registers may not be its own. */
int inject__close(struct inject *inject);

/*
 * Makes a userfaultfd(2) for the memory of process pid. The process keeps no descriptor of it. The
 * caller is suspended until that is done; to kill it meanwhile harms nobody. A helper process does
 * it, in a fraction of a millisecond. Only its death would harm the target: by registers that are
 * not its own, or a descriptor that remains (O_CLOEXEC).
 * Returns the descriptor, which is O_CLOEXEC; -REASON_OWN_USERFAULT if the process has one of its
 * own; -EMFILE and the like if userfaultfd(2) refuses; or as inject__open.
 */
int inject__userfaultfd(pid_t pid);

#endif
