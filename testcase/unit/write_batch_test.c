/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of write_batch: which pieces are merged, and that all arrive. The target is this process.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "target/write_batch.h"
#include "tap.h"

#define PAGE  4096UL
#define MANY  2301UL
#define PIECE 23UL

static uint8_t from[MANY * PIECE];
static uint8_t to[2 * MANY * PIECE];

static uint64_t address_of(const void *start)
{
	return (uintptr_t)start;
}

static void test_joining(void)
{
	struct write_batch pieces = {0};

	tap__ok(write_batch__add(&pieces, from, address_of(to), 23) == 0 && pieces.count == 1,
		"the first");
	tap__ok(write_batch__add(&pieces, from + 23, address_of(to) + 23, 41) == 0 &&
			pieces.count == 1 && pieces.local[0].iov_len == 64 &&
			pieces.remote[0].iov_len == 64,
		"one that goes on here and there joins it");
	tap__ok(write_batch__add(&pieces, from + 64, address_of(to) + 65, 1) == 0 &&
			pieces.count == 2,
		"one that goes on here alone does not");
	tap__ok(write_batch__add(&pieces, from + 67, address_of(to) + 66, 1) == 0 &&
			pieces.count == 3,
		"one that goes on there alone does not");
	tap__ok(write_batch__add(&pieces, from + 67, address_of(to) + 66, 1) == 0 &&
			pieces.count == 4,
		"nor does the same once more");
	write_batch__forget(&pieces);
	tap__ok(pieces.count == 0 &&
			write_batch__add(&pieces, from + 68, address_of(to) + 67, 1) == 0 &&
			pieces.count == 1 && pieces.local[0].iov_len == 1,
		"nothing joins a write that was forgotten");
	write_batch__clear(&pieces);
	write_batch__clear(&pieces);
	tap__ok(!pieces.local && !pieces.remote && !pieces.count && !pieces.room, "cleared, twice");
}

/* The pieces touch each other here, and have gaps between them there. */
static void test_writing(struct memory *memory)
{
	struct write_batch pieces = {0};
	uint64_t bytes = 1, forced = 1, failed = 1;
	size_t right = 0;
	int err = 0;

	tap__ok(write_batch__write(&pieces, memory, &bytes, &forced, &failed) == 0 && !bytes &&
			!forced && !failed,
		"none");
	for (size_t i = 0; i < sizeof(from); i++)
		from[i] = (uint8_t)(i * 29 >> 3 | 1);
	for (size_t i = 0; i < MANY && !err; i++)
		err = write_batch__add(&pieces, from + i * PIECE, address_of(to + 2 * i * PIECE),
				       PIECE);
	tap__ok(!err && pieces.count == MANY, "%lu, more than one call can take", MANY);
	tap__equal(write_batch__write(&pieces, memory, &bytes, &forced, &failed), 0,
		   "all are written");
	tap__ok(bytes == MANY * PIECE && !forced && !failed && !pieces.count,
		"counted, and forgotten");
	for (size_t i = 0; i < sizeof(to); i++)
		right += to[i] == (i / PIECE % 2 ? 0 : from[i / PIECE / 2 * PIECE + i % PIECE]);
	tap__equal(right, sizeof(to), "each to its place, nothing in between");
	write_batch__clear(&pieces);
}

/* Of three pieces, the second one loses its start, its end, its middle, and all of it. */
static void test_leaving_out(struct memory *memory)
{
	static const size_t starts[] = {0, 19, 7, 0}, lengths[] = {5, 4, 9, PIECE};
	struct write_batch pieces = {0};
	uint64_t bytes, forced, failed;

	for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++) {
		const uint64_t first = address_of(to + 2 * PIECE) + starts[i];
		size_t right = 0, kept;
		int err = 0;

		memset(to, 0, sizeof(to));
		for (size_t piece = 0; piece < 3 && !err; piece++)
			err = write_batch__add(&pieces, from + piece * PIECE,
					       address_of(to + 2 * piece * PIECE), PIECE);
		if (!err)
			err = write_batch__leave_out(&pieces, first, lengths[i]);
		if (!err)
			err = write_batch__leave_out(&pieces, address_of(to + PIECE), PIECE);
		if (!err)
			err = write_batch__write(&pieces, memory, &bytes, &forced, &failed);
		kept = 3 * PIECE - lengths[i];
		for (size_t at = 0; at < 5 * PIECE; at++)
			right += to[at] ==
				 (at / PIECE % 2 || address_of(to + at) - first < lengths[i]
					  ? 0
					  : from[at / PIECE / 2 * PIECE + at % PIECE]);
		tap__ok(!err && bytes == kept && right == 5 * PIECE,
			"%zu bytes are left out from %zu on", lengths[i], starts[i]);
	}
	write_batch__clear(&pieces);
}

static void test_failing(struct memory *memory)
{
	void *hole = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct write_batch pieces = {0};
	uint64_t bytes = 0, forced = 0, failed = 0;
	int err;

	if (hole == MAP_FAILED || munmap(hole, PAGE))
		exit(1);
	memset(to, 0, sizeof(to));
	err = write_batch__add(&pieces, from, address_of(hole), PIECE);
	if (!err)
		err = write_batch__add(&pieces, from + 1, address_of(to), PIECE);
	tap__ok(!err && write_batch__write(&pieces, memory, &bytes, &forced, &failed) == -EFAULT,
		"one where nothing is mapped");
	tap__ok(bytes == 2 * PIECE && failed == PIECE && !memcmp(to, from + 1, PIECE),
		"is counted; the other is written");
	tap__equal(pieces.count, 0, "and both are forgotten");
	write_batch__clear(&pieces);
}

int main(void)
{
	struct memory *memory = NULL;

	tap__plan(19);
	test_joining();
	if (memory__open(getpid(), &memory))
		exit(1);
	test_writing(memory);
	test_leaving_out(memory);
	test_failing(memory);
	memory__free(memory);
	return tap__done();
}
