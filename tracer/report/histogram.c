/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Log-linear histogram: values below 64 have a bucket each; above, the six bits after the leading
 * one choose among 64 buckets of the same power of two.
 */
#include "report/histogram.h"

static unsigned int bucket_of(uint64_t value)
{
	unsigned int shift, bucket;

	if (value < 64)
		return (unsigned int)value;
	shift = 63 - 6 - (unsigned int)__builtin_clzll(value);
	bucket = (shift + 1) * 64 + (unsigned int)(value >> shift) - 64;
	return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

/* The largest value of a bucket. */
static uint64_t top_of(unsigned int bucket)
{
	unsigned int shift;

	if (bucket < 64)
		return bucket;
	shift = bucket / 64 - 1;
	return ((uint64_t)(bucket % 64 + 65) << shift) - 1;
}

void histogram__add(struct histogram *histogram, uint64_t value)
{
	if (!histogram->count || value < histogram->minimum)
		histogram->minimum = value;
	if (value > histogram->maximum)
		histogram->maximum = value;
	histogram->count++;
	histogram->buckets[bucket_of(value)]++;
}

uint64_t histogram__quantile(const struct histogram *histogram, double quantile)
{
	double share = quantile * (double)histogram->count;
	uint64_t wanted = (uint64_t)share, seen = 0, top;

	if (!histogram->count)
		return 0;
	if ((double)wanted < share)
		wanted++;
	if (wanted < 1)
		wanted = 1;
	for (unsigned int i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += histogram->buckets[i];
		if (seen < wanted)
			continue;
		top = top_of(i);
		if (top > histogram->maximum)
			top = histogram->maximum;
		return top < histogram->minimum ? histogram->minimum : top;
	}
	return histogram->maximum;
}
