/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Memory that is added to the image of a process so that it can go on. restart(1) lets each thread
 * go on at its resume point, which needs code and a stack. A process that was saved from outside
 * has neither, so the landing brings both:
 *
 *	address: | code | counters, timers | frame of thread 0 | frame of thread 1 | ...
 *
 * All threads wait for each other there; the first one unmaps what is left of restart and starts
 * the timers. Then each gives itself all its registers, with the call that ends a signal handler
 * (rt_sigreturn(2)). The stacks of the program are not touched, so none can be too small.
 */
#ifndef TRACER_SAVE_LANDING_H
#define TRACER_SAVE_LANDING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>
#include "image/image.h"

enum { LANDING_TIMERS = 3 }; /* of setitimer(2) */

struct landing { /* zero-initialised: empty */
	uint64_t address;
	uint8_t *bytes; /* whole pages */
	size_t code_bytes, total_bytes;
};

/* The bytes of a landing for so many threads. Each frame has xstate_bytes of extended state. */
size_t landing__bytes(size_t threads, size_t xstate_bytes);

/*
 * Makes it for an address, and sets the resume points of the image and process.restart. image:
 * threads and registers are there; element first is the main thread. timers: LANDING_TIMERS.
 * Returns 0; -ENOMEM; or -REASON_STATE_NOT_SAVED if a thread has extended state that no image
 * holds.
 */
int landing__make(struct landing *landing, uint64_t address, struct image *image, size_t first,
		  const struct itimerval *timers);

/* Frees what it holds; harmless on an empty one. */
void landing__clear(struct landing *landing);

#endif
