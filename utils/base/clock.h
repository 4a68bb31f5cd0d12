/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The clock of everything that is timed: it is also that of bpf_ktime_get_ns().
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* CLOCK_MONOTONIC in ns; see clock_gettime(2), which cannot fail for it. */
static inline uint64_t clock__now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

#endif
