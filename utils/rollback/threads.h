/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Ends the threads that were made since a checkpoint.
 */
#ifndef ROLLBACK_THREADS_H
#define ROLLBACK_THREADS_H

#include "rollback/checkpoint.h"

/* The address of the control block of the calling thread. */
static inline uint64_t threads__self(void)
{
	uint64_t self;

	__asm__("mov %%fs:0, %0" : "=r"(self));
	return self;
}

/* Ends all threads but the caller, and waits until they are gone. Signals are blocked. Returns 0;
 * -ETIMEDOUT if one does not end within 30 seconds; or another -errno. */
int threads__end_others(struct rollback *rollback);

#endif
