/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Making all threads of the process stand still, each in its own signal handler. One of them, the
 * leader, calls the others with a signal, and each writes down what it has.
 *
 *	request --> leader: stop_threads__gather --signal--> others: stop_threads__join ... wait
 *	            image is written
 *	            stop_threads__release ------------------------------------> ... go on
 */
#ifndef LIBCKPT_STOP_THREADS_H
#define LIBCKPT_STOP_THREADS_H

#include <signal.h>
#include <sys/types.h>

#include "libckpt/capture.h"

enum { STOP_THREADS_MAX = 4096 };

enum stop_role {
	STOP_NOBODY, /* a signal that is out of date: go on */
	STOP_LEADER,
	STOP_MEMBER,
};

/* The memory is this process's from now on: called when the program starts, after a fork(3), and in
 * a process that was brought back. */
void stop_threads__own(void);

/* Who is the calling thread, which got the signal that info describes? A leader stays one until
 * stop_threads__release. A child of vfork(2) is nobody: its memory is its parent's. */
enum stop_role stop_threads__role(const siginfo_t *info);

/*
 * The leader makes all others stop. first is its own thread, at the head of the list afterwards.
 * Returns 0; -ETIMEDOUT if a thread did not come, whose tid is then in *ret_tid; -EFBIG if
 * there are too many; or the -errno of reading /proc. On failure those that came wait for
 * stop_threads__release all the same.
 */
int stop_threads__gather(int signal, struct stopped_thread *first, pid_t *ret_tid);

/* A member waits until the leader releases it. */
void stop_threads__join(struct stopped_thread *thread);

/* The leader lets all go on, and is no leader any more. */
void stop_threads__release(void);

/* In a process that was brought back: waits until all threads of the image have called it. The
 * leader then returns, and the others when it calls stop_threads__release. */
void stop_threads__meet_again(const struct stopped_thread *thread);

/* How many threads the last stop_threads__gather found, the leader counted. */
unsigned int stop_threads__count(void);

#endif
