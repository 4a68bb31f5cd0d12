/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Random numbers for unit tests. The same seed gives the same numbers on each machine. A test
 * prints its seed in its name, and takes another one as its argument.
 */
#ifndef UNIT_RANDOM_H
#define UNIT_RANDOM_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/parse.h"

static uint64_t random_state;

/* Begins the sequence of that seed. */
static inline void random__seed(uint64_t seed)
{
	random_state = seed;
}

/* All 64 bits. splitmix64, public domain, https://prng.di.unimi.it/splitmix64.c */
static inline uint64_t random__next(void)
{
	uint64_t z = (random_state += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

/* A number from 0 to limit - 1. With a large limit, low numbers are more frequent. */
static inline uint64_t random__below(uint64_t limit)
{
	return random__next() % limit;
}

/* The seed in the first argument of main, or usual. Ends the program if it is no number. */
static inline uint64_t random__seed_of(int argc, char **argv, uint64_t usual)
{
	uint64_t seed = usual;

	if (argc > 1 && parse__u64(argv[1], 0, UINT64_MAX, &seed) != 0) {
		(void)fprintf(stderr, "usage: %s [SEED]\n", argv[0]);
		exit(2);
	}
	return seed;
}

#endif
