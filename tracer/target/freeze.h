/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Makes the target stand still, with ptrace(2): no signal that it could see or block, and if the
 * tracer dies, the kernel lets the target run on. A thread that polls a completion file is held
 * inside that poll, so that memory changes under it exactly where the client expects it.
 */
#ifndef TRACER_TARGET_FREEZE_H
#define TRACER_TARGET_FREEZE_H

#include <stdbool.h>
#include <linux/types.h>
#include <sys/types.h>

struct freeze;

/* Prepares for process pid; nothing is stopped yet. child: it is a child of the caller, who will
 * wait for its end. 0 and *ret_freeze, or -ENOMEM. */
int freeze__create(pid_t pid, bool child, struct freeze **ret_freeze);

/*
 * Stops every thread but except (0: all), also threads that are born meanwhile.
 * Returns 0; -ESRCH; -REASON_TRACED, -REASON_PTRACE_FORBIDDEN or -REASON_NOT_STOPPED (after five
 * seconds, see reason.h); or -errno. On failure all threads run again.
 */
int freeze__stop(struct freeze *freeze, pid_t except);

/*
 * Lets the stopped thread tid run from system call to system call until *polls (shared with the
 * kernel side, which counts there) has changed: the thread has then just polled, and is stopped at
 * the end of that call. Signals it is sent meanwhile reach it.
 * Returns 0; -ESRCH; -REASON_NOT_POLLING when it did not poll for five seconds
 * (it is stopped again); or -errno.
 */
int freeze__step_to_poll(struct freeze *freeze, pid_t tid, const volatile __u64 *polls);

/*
 * Lets every stopped thread run again. Harmless when none is. A thread that would not stop in time
 * (one inside vfork(2), say) may stop later: call this again at each SIGCHLD.
 */
void freeze__release(struct freeze *freeze);

/* Releases and frees; freeze__free(NULL) is harmless. */
void freeze__free(struct freeze *freeze);

#endif
