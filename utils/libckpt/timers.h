/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Timers of the program, of setitimer(2) and timer_create(2). They are noted before an image is
 * written, in memory that is a part of it. The process that was brought back makes them again. Each
 * goes on with the time that it had left. Usable inside a signal handler.
 */
#ifndef LIBCKPT_TIMERS_H
#define LIBCKPT_TIMERS_H

#include <stdbool.h>
#include <sys/time.h>
#include <time.h>

#include "capture/capture_threads.h"

enum { TIMERS_MAX = 256, TIMERS_OF_PROCESS = 3 };

/* A timer of timer_create(2). */
struct timer {
	int id; /* the kernel's */
	int signal, notify, clock;
	int tid; /* whom it notifies, with SIGEV_THREAD_ID */
	uint64_t value;
	struct itimerspec left;
};

struct timers {
	struct itimerval of_process[TIMERS_OF_PROCESS]; /* ITIMER_REAL and so on */
	struct timer items[TIMERS_MAX];                 /* by id */
	size_t count;
	uint64_t signals; /* bit N-1 for signal N: it may be pending, and will come again */
};

/*
 * Notes all timers but own_id, while all threads stand still; own_id: -1 if there is none.
 * Returns whether that was all: not timers of the processor time of a thread, nor more than
 * TIMERS_MAX.
 */
bool timers__note(struct timers *timers, int own_id);

/* In a process that was brought back: makes them again, under the same numbers. threads: all.
 * Returns 0 or -errno; then some are missing. */
int timers__start_again(const struct timers *timers, const struct stopped_thread *threads);

#endif
