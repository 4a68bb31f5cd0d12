/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Making all threads of the process stand still, each in its own signal handler. One of them, the
 * leader, calls the others, the members, with a signal. Usable inside a signal handler.
 *
 *	request --> leader: stop_threads__gather --signal--> others: stop_threads__join ... wait
 *	            image is written
 *	            stop_threads__release ------------------------------------> ... go on
 */
#ifndef LIBCKPT_STOP_THREADS_H
#define LIBCKPT_STOP_THREADS_H

#include <signal.h>
#include <sys/types.h>

#include "capture/capture_threads.h"

enum { STOP_THREADS_MAX = 4096 };

enum stop_role {
	STOP_NOBODY, /* the signal is out of date, or not for this process: go on */
	STOP_LEADER,
	STOP_MEMBER,
};

/* Claims the memory for this process: when the program starts, after a fork(3), and in a process
 * that was brought back. */
void stop_threads__own(void);

/* Returns the role of the calling thread, which got the signal that info describes. A leader stays
 * one until stop_threads__release. A child of vfork(2) is nobody: its memory is its parent's. */
enum stop_role stop_threads__role(const siginfo_t *info);

/* Why not all of them stop, where no errno says it. */
enum stop_reason {
	STOP_ABSENT = 4096, /* a thread did not come in time; errnos end at 4095 */
	STOP_DEAF, /* it blocks the signal all the same, or is the main one and has ended */
	STOP_MANY, /* there are more than STOP_THREADS_MAX */
};

/*
 * The leader makes all others stop. first: the leader itself; it is the head of the list
 * afterwards. Threads that block the signal unblock it, for good, if a child may trace its parent.
 * Returns 0; -STOP_ABSENT or -STOP_DEAF, with the thread in *ret_tid; -STOP_MANY; or the -errno of
 * reading /proc. On failure too, those that came wait for stop_threads__release.
 */
int stop_threads__gather(int signal, struct stopped_thread *first, pid_t *ret_tid);

/* A member waits until the leader releases it. */
void stop_threads__join(struct stopped_thread *thread);

/* The leader lets all go on, and is a leader no more. */
void stop_threads__release(void);

/* In a process that was brought back: waits until all threads of the image have called it. The
 * leader then returns, and the others when it calls stop_threads__release. */
void stop_threads__meet_again(const struct stopped_thread *thread);

/* How many threads the last stop_threads__gather found, the leader counted. */
unsigned int stop_threads__count(void);

#endif
