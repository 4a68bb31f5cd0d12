/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The frame of workloads that write to a few pages of a mapping in one of many ways. After each
 * restore the whole mapping is compared, and a second checkpoint of the changed pages is as good as
 * the first.
 */
#ifndef WORKLOADS_WRITERS_H
#define WORKLOADS_WRITERS_H

#include "ways.h"

enum { PAGES = 461, FEW = 5, ROUNDS = 7 };

#define BYTES (PAGES * PAGE)

static unsigned char *memory;
static unsigned char *copy; /* untracked */

/* round: on the stack, and so not rolled back. */
static inline void write_few(page_writer *write_page, uint64_t round)
{
	for (uint64_t i = 0; i < FEW; i++) {
		uint64_t number = word_at(seed(7), round * FEW + i);

		write_page(memory + number % (PAGES - STACK_PAGES) * PAGE, number);
	}
}

/* prepare: called before the first checkpoint, with all of memory filled; or NULL. */
static inline void play(page_writer *write_page, void (*prepare)(void))
{
	memory = map_alone(BYTES, MAP_PRIVATE);
	copy = map_untracked(BYTES);
	fill(memory, BYTES, seed(1));
	if (prepare)
		prepare();
	save();
	for (uint64_t round = 0; round < ROUNDS; round++) {
		write_few(write_page, round);
		restore();
		expect_outside(memory, BYTES, seed(1), "after a restore");
	}
	for (uint64_t round = 0; round < ROUNDS; round++) {
		write_few(write_page, ROUNDS + 2 * round);
		memcpy(copy, memory, BYTES);
		save();
		write_few(write_page, ROUNDS + 2 * round + 1);
		restore();
		if (memcmp(copy, memory, BYTES) != 0)
			wrong("after checkpoint %lu and its restore", round + 2);
	}
	must(!munmap(copy, BYTES) && !munmap(memory, BYTES), "munmap");
}

#define CASE(name, way, prepare)                                                                   \
	static void name(void)                                                                     \
	{                                                                                          \
		play(way, prepare);                                                                \
	}

#endif
