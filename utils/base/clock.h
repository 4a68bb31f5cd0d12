/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Clocks in nanoseconds. clock__now_ns() reads the clock of bpf_ktime_get_ns(), so times of both
 * sides can be compared.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Reads a clock, in ns. id: CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_REALTIME or
 * CLOCK_THREAD_CPUTIME_ID; clock_gettime(2) cannot fail for these. Safe in a signal handler. */
static inline uint64_t clock__read_ns(clockid_t id)
{
	struct timespec now;

	(void)clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* CLOCK_MONOTONIC in ns. */
static inline uint64_t clock__now_ns(void)
{
	return clock__read_ns(CLOCK_MONOTONIC);
}

#endif
