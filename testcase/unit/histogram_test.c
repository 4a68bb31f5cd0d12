/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of histogram: edges of its buckets, then quantiles of random samples, compared with the
 * sorted samples. A result is never below the true quantile and at most 1.6 % above it. The seed is
 * printed; run with a seed as argument to repeat.
 */
#include <stdbool.h>
#include <stdlib.h>

#include "report/histogram.h"
#include "random.h"
#include "tap.h"

#define SAMPLES 23001

static uint64_t samples[SAMPLES];
static struct histogram histogram; /* too large for some stacks */

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The sample of that rank, from 0 on; the smallest for a rank below. */
static uint64_t sample_at(size_t rank)
{
	return rank ? samples[rank - 1] : samples[0];
}

static bool is_near(uint64_t got, uint64_t low, uint64_t high)
{
	return got >= low && (long double)got <= 1.016L * (long double)high;
}

static void add_samples(size_t count)
{
	histogram = (struct histogram){0};
	for (size_t i = 0; i < count; i++)
		histogram__add(&histogram, samples[i]);
	qsort(samples, count, sizeof(*samples), compare);
}

/* Counts the quantiles, in steps of 1/1024, that are too far off. Between two samples, either is
 * right. */
static unsigned int count_wrong(size_t count)
{
	unsigned int wrong = 0;

	for (unsigned int i = 0; i <= 1024; i++) {
		uint64_t got = histogram__quantile(&histogram, i / 1024.0);
		uint64_t low = sample_at(count * i / 1024);
		uint64_t high = sample_at((count * i + 1023) / 1024);

		if (is_near(got, low, high))
			continue;
		if (!wrong++)
			tap__note("%zu samples, quantile %u/1024: got %" PRIu64 " for %" PRIu64
				  " to %" PRIu64,
				  count, i, got, low, high);
	}
	return wrong;
}

static void test_empty(void)
{
	histogram = (struct histogram){0};
	tap__equal(histogram__quantile(&histogram, 0), 0, "empty: quantile 0");
	tap__equal(histogram__quantile(&histogram, 0.5), 0, "empty: the median");
	tap__equal(histogram__quantile(&histogram, 1), 0, "empty: quantile 1");
}

static void test_one(uint64_t value)
{
	histogram = (struct histogram){0};
	histogram__add(&histogram, value);
	tap__ok(histogram.count == 1 && histogram.minimum == value && histogram.maximum == value &&
			histogram__quantile(&histogram, 0) == value &&
			histogram__quantile(&histogram, 0.5) == value &&
			histogram__quantile(&histogram, 1) == value,
		"only %" PRIu64 ": every quantile is exact", value);
}

/* Tests both neighbours of each power of two. A smaller and a larger value are minimum and maximum,
 * which the histogram knows exactly. */
static void test_edges(void)
{
	unsigned int wrong = 0;

	for (unsigned int bit = 1; bit < 64; bit++) {
		for (int step = -1; step <= 1; step++) {
			uint64_t value = (UINT64_C(1) << bit) + (uint64_t)(int64_t)step;

			histogram = (struct histogram){0};
			histogram__add(&histogram, 0);
			histogram__add(&histogram, value);
			histogram__add(&histogram, UINT64_MAX);
			histogram__add(&histogram, UINT64_MAX);
			wrong += !is_near(histogram__quantile(&histogram, 0.5), value, value);
		}
	}
	tap__equal(wrong, 0, "values around the powers of two");
}

static void test_small(void)
{
	unsigned int wrong = 0;

	for (size_t i = 0; i < 64; i++)
		samples[i] = 63 - i;
	add_samples(64);
	for (unsigned int i = 0; i <= 64; i++)
		wrong += histogram__quantile(&histogram, i / 64.0) != (i ? i - 1 : 0);
	tap__equal(wrong, 0, "values below 64 are exact");
}

static void test_extremes(void)
{
	histogram = (struct histogram){0};
	histogram__add(&histogram, 1000003);
	histogram__add(&histogram, 23);
	histogram__add(&histogram, 1000001);
	tap__ok(histogram.count == 3 && histogram.minimum == 23 && histogram.maximum == 1000003,
		"count, minimum and maximum");
	tap__equal(histogram__quantile(&histogram, 0), 23, "quantile 0 is the minimum");
	tap__equal(histogram__quantile(&histogram, 1), 1000003, "quantile 1 is the maximum");
	histogram__add(&histogram, 0);
	histogram__add(&histogram, UINT64_MAX);
	tap__ok(histogram.minimum == 0 && histogram.maximum == UINT64_MAX &&
			histogram__quantile(&histogram, 0) == 0 &&
			histogram__quantile(&histogram, 1) == UINT64_MAX,
		"the smallest and the largest number there is");
}

static void test_random(size_t count, unsigned int bits)
{
	for (size_t i = 0; i < count; i++)
		samples[i] = random__next() >> (64 - bits);
	add_samples(count);
	tap__ok(histogram.count == count && histogram.minimum == samples[0] &&
			histogram.maximum == samples[count - 1],
		"%zu samples of %u bits: count, minimum, maximum", count, bits);
	tap__equal(count_wrong(count), 0, "and quantiles off by at most 1.6 %%");
}

/* Random durations of every order of magnitude. */
static void test_random_magnitudes(void)
{
	for (size_t i = 0; i < SAMPLES; i++)
		samples[i] = random__next() >> (random__next() % 64);
	add_samples(SAMPLES);
	tap__equal(count_wrong(SAMPLES), 0, "%d samples of all magnitudes", SAMPLES);
}

int main(int argc, char **argv)
{
	const uint64_t seed = random__seed_of(argc, argv, 230023);

	random__seed(seed);
	tap__plan(23);
	tap__note("seed %" PRIu64, seed);
	test_empty();
	test_one(0);
	test_one(63);
	test_one(64);
	test_one(1000000007);
	test_one(UINT64_MAX);
	test_edges();
	test_small();
	test_extremes();
	test_random(1, 32);
	test_random(23, 20);
	test_random(2301, 37);
	test_random(SAMPLES, 64);
	test_random_magnitudes();
	return tap__done();
}
