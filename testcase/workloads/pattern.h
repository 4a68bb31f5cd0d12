/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Shared by a workload and the process that looks at it from outside: contents that can be computed
 * again from a seed (splitmix64), so that no expected data is stored, and the questions that go
 * through the socket between the two.
 */
#ifndef WORKLOADS_PATTERN_H
#define WORKLOADS_PATTERN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Seed 0 stands for zeros. */
static inline uint64_t word_at(uint64_t seed, uint64_t index)
{
	uint64_t x = seed * 0xd1342543de82ef95 + (index + 1) * 0x9e3779b97f4a7c15;

	if (!seed)
		return 0;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

static inline void fill(volatile void *at, size_t bytes, uint64_t seed)
{
	volatile unsigned char *to = at;
	uint64_t word;
	size_t i = 0;

	for (; i + 8 <= bytes; i += 8)
		*(volatile uint64_t *)(to + i) = word_at(seed, i / 8);
	word = word_at(seed, i / 8);
	for (; i < bytes; i++)
		to[i] = (unsigned char)(word >> i % 8 * 8);
}

/* The offset of the first byte that is not as fill() leaves it; bytes when all are. */
static inline size_t first_wrong(const volatile void *at, size_t bytes, uint64_t seed)
{
	const volatile unsigned char *from = at;
	uint64_t word;
	size_t i = 0;

	for (; i + 8 <= bytes; i += 8)
		if (*(const volatile uint64_t *)(from + i) != word_at(seed, i / 8))
			break;
	word = word_at(seed, i / 8);
	for (; i < bytes; i++)
		if (from[i] != (unsigned char)(word >> i % 8 * 8))
			break;
	return i;
}

enum outside_kind {
	OUTSIDE_REMEMBER = 1, /* the mappings and open files, as they are */
	OUTSIDE_COMPARE = 2,  /* they must be the same as then */
	OUTSIDE_EXPECT = 3,   /* [address, address + bytes) must hold the pattern of seed */
};

struct outside_ask {
	uint64_t address, bytes, seed;
	uint32_t kind; /* enum outside_kind */
	int32_t pid;
};

struct outside_answer {
	int32_t wrong; /* 0: it is as it should be */
	char text[252];
};
_Static_assert(sizeof(struct outside_ask) == 32, "struct outside_ask crosses the border");
_Static_assert(sizeof(struct outside_answer) == 256, "struct outside_answer crosses the border");

#endif
