/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Durations in bins whose width grows with their value, after HdrHistogram: any number of samples
 * in a fixed few kilobytes, which fit on the stack.
 */
#include "cases.h"

#define SUB_BINS (1ULL << TALLY_SUB_BITS)

static unsigned int bin_of(uint64_t ns)
{
	unsigned int shift;

	if (ns < SUB_BINS)
		return (unsigned int)ns;
	shift = 63 - (unsigned int)__builtin_clzll(ns) - TALLY_SUB_BITS;
	return ((shift + 1) << TALLY_SUB_BITS) + (unsigned int)((ns >> shift) & (SUB_BINS - 1));
}

static uint64_t middle_of(unsigned int bin)
{
	unsigned int shift;

	if (bin < SUB_BINS)
		return bin;
	shift = (bin >> TALLY_SUB_BITS) - 1;
	return ((SUB_BINS + (bin & (SUB_BINS - 1))) << shift) + ((1ULL << shift) >> 1);
}

void tally__add(struct tally *tally, uint64_t ns)
{
	if (!tally->count || ns < tally->min_ns)
		tally->min_ns = ns;
	tally->count++;
	tally->sum_ns += ns;
	tally->bins[bin_of(ns)]++;
}

uint64_t tally__quantile(const struct tally *tally, double share)
{
	uint64_t wanted = (uint64_t)(share * (double)tally->count), seen = 0;
	unsigned int bin;

	for (bin = 0; bin < TALLY_BINS; bin++) {
		seen += tally->bins[bin];
		if (tally->bins[bin] && (seen > wanted || seen == tally->count))
			return middle_of(bin) > tally->min_ns ? middle_of(bin) : tally->min_ns;
	}
	return 0;
}
