/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Stops the target's threads with ptrace(2), so that it cannot see or block a signal. If the tracer
 * dies, the kernel lets the target run on. A thread that polls a completion file is held inside
 * that poll, where the client expects its memory to change.
 */
#ifndef TRACER_TARGET_FREEZE_H
#define TRACER_TARGET_FREEZE_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/types.h>
#include <sys/types.h>

struct freeze;

/* Prepares for a process; stops nothing yet. pid: of the process, or of one of its threads if the
 * first one has ended. child: the process is a child of the caller, who
 * will wait for its end. Returns 0 and *ret_freeze, or -ENOMEM. */
int freeze__create(pid_t pid, bool child, struct freeze **ret_freeze);

/* Sets how long the caller waits awake for each stop before it sleeps. The default is 0, for the
 * thread may need the caller's processor to stop. If the target has a processor of its own, its
 * stop takes less time than to sleep and wake up. */
void freeze__stay_awake(struct freeze *freeze, uint64_t awake_ns);

/*
 * Stops every thread but except (0: all), also threads that are born meanwhile.
 * Returns 0; -ESRCH; -REASON_TRACED, -REASON_PTRACE_FORBIDDEN or -REASON_NOT_STOPPED (after five
 * seconds, see reason.h); or -errno. On failure all threads run again.
 */
int freeze__stop(struct freeze *freeze, pid_t except);

/* Makes thread tid stop as soon as it leaves the kernel; freeze__stop() then waits for it. Returns
 * 0 or what freeze__stop() does; on failure call freeze__release(). */
int freeze__interrupt(struct freeze *freeze, pid_t tid);

/*
 * Lets the stopped thread tid run from system call to system call until *polls has changed. The
 * kernel side counts polls there, so the thread is then stopped at the end of a poll. Signals reach
 * it meanwhile. Returns 0; -ESRCH; -REASON_NOT_POLLING when it did not poll for 30 seconds (it is
 * stopped again); or -errno.
 */
int freeze__step_to_poll(struct freeze *freeze, pid_t tid, const volatile __u64 *polls);

/* Makes thread tid repeat its poll when it runs again. It stands still at the end of a poll that
 * has found nothing, and there is an answer by now. */
void freeze__repeat_poll(const struct freeze *freeze, pid_t tid);

/*
 * Gives each stopped thread the signal that was on its way to it when it stopped; it stops again
 * before its handler begins. Where drop_faults, a signal that its own last instruction has caused
 * (SIGSEGV and the like) is dropped. Returns 0; -ESRCH if that ends the process; or -errno.
 */
int freeze__deliver(struct freeze *freeze, bool drop_faults);

/* Forgets thread tid, which has ended. */
void freeze__forget(struct freeze *freeze, pid_t tid);

/* Sets whether the death of the caller kills the process. The default is no, anew at each stop.
 * Returns 0 or -errno. */
int freeze__kill_on_death(const struct freeze *freeze, bool kill);

/* Calls each for every stopped thread, until it fails. Returns what it returned last, or 0. */
int freeze__for_each(const struct freeze *freeze, int (*each)(pid_t tid, void *argument),
		     void *argument);

/* How long threads stood still: from when the first one was told to stop, to when the last one was
 * let go. After freeze__release(). */
uint64_t freeze__stop_ns(const struct freeze *freeze);

/* The caller has read or written the registers of all threads that stand still, by registers.h:
 * freeze__release() need not look at them. */
void freeze__keep_registers(struct freeze *freeze);

/*
 * Lets every stopped thread run again. Harmless when none is stopped. A call that ends with EINTR
 * at any stop (signal(7)) begins again. A thread that did not stop in time, such as one inside
 * vfork(2), may stop later: call this again from time to time.
 */
void freeze__release(struct freeze *freeze);

/* Did freeze__release() find that the first thread had ended while it stood still? */
bool freeze__has_ended(const struct freeze *freeze);

/* Is tid the only thread that stands still? */
bool freeze__holds_only(const struct freeze *freeze, pid_t tid);

/* Is there a thread that stands still, or is about to? */
bool freeze__holds_any(const struct freeze *freeze);

/* Releases and frees; freeze__free(NULL) is harmless. */
void freeze__free(struct freeze *freeze);

#endif
