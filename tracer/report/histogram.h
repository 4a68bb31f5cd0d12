/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Durations of any number of operations in constant memory. Each power of two has 64 buckets, so a
 * quantile is at most 1.6 % too high. Minimum and maximum are exact.
 */
#ifndef TRACER_REPORT_HISTOGRAM_H
#define TRACER_REPORT_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_BUCKETS = 64 * 60 };

struct histogram { /* zero-initialised: empty */
	uint64_t count, minimum, maximum;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram__add(struct histogram *histogram, uint64_t value);

/* The value that a share of quantile (0 to 1) of all values does not exceed; 0 when empty. */
uint64_t histogram__quantile(const struct histogram *histogram, double quantile);

#endif
