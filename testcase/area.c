/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Memory whose every byte follows from a seed and its offset, so that it can be verified without a
 * second copy (a copy on the heap would be rolled back with the rest).
 */
#include <errno.h>
#include <string.h>

#include "cases.h"

#define GAMMA 0x9e3779b97f4a7c15ULL

static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

/* Word number index of the sequence: computed on its own, in any order. */
static uint64_t word_at(uint64_t seed, uint64_t index)
{
	return mix(seed + (index + 1) * GAMMA);
}

/*
 * The compiler must not reason about the bytes of an area, because a restore changes memory without
 * its knowledge. The asm makes it forget where the pointer came from, and assume that all memory
 * was changed.
 */
static unsigned char *area_start(const struct area *area)
{
	void *at = area->at;

	__asm__ volatile("" : "+r"(at) : : "memory");
	return at;
}

static size_t piece_size(const struct area *area, size_t offset)
{
	return area->bytes - offset < sizeof(uint64_t) ? area->bytes - offset : sizeof(uint64_t);
}

static uint64_t expected_word(const struct area *area, size_t offset)
{
	if (area->content == CONTENT_ZERO)
		return 0;
	return word_at(area->seed, offset / sizeof(uint64_t));
}

uint64_t area__random(uint64_t *state)
{
	*state += GAMMA;
	return mix(*state);
}

uint64_t area__derive(uint64_t seed, uint64_t index)
{
	return mix(seed ^ word_at(0x7465737463617365ULL, index));
}

void area__fill(const struct area *area)
{
	unsigned char *start = area_start(area);
	size_t offset;
	uint64_t word;

	for (offset = 0; offset < area->bytes; offset += sizeof(word)) {
		word = expected_word(area, offset);
		memcpy(start + offset, &word, piece_size(area, offset));
	}
}

void area__scramble(const struct area *area, uint64_t round)
{
	/* No byte of the mask is zero, so no byte stays as it was. */
	uint64_t mask = mix(round) | 0x0101010101010101ULL, word;
	unsigned char *start = area_start(area);
	size_t offset, size;

	for (offset = 0; offset < area->bytes; offset += sizeof(word)) {
		size = piece_size(area, offset);
		word = 0;
		memcpy(&word, start + offset, size);
		word ^= mask;
		memcpy(start + offset, &word, size);
	}
}

static void count_mistakes(const unsigned char *is, const unsigned char *expected, size_t size,
			   size_t offset, struct mistake *mistake)
{
	size_t i;

	for (i = 0; i < size; i++) {
		if (is[i] == expected[i])
			continue;
		if (mistake->count++ == 0) {
			mistake->offset = offset + i;
			mistake->is = is[i];
			mistake->expected = expected[i];
		}
	}
}

int area__verify(const struct area *area, struct mistake *ret_mistake)
{
	const unsigned char *start = area_start(area);
	struct mistake mistake = {0};
	uint64_t word, expected;
	size_t offset, size;

	for (offset = 0; offset < area->bytes; offset += sizeof(word)) {
		size = piece_size(area, offset);
		expected = expected_word(area, offset);
		word = expected;
		memcpy(&word, start + offset, size);
		if (word != expected)
			count_mistakes((const unsigned char *)&word,
				       (const unsigned char *)&expected, size, offset, &mistake);
	}
	if (!mistake.count)
		return 0;
	*ret_mistake = mistake;
	return -EBADMSG;
}
