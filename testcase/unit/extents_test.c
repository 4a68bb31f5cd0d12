/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of extents without BPF. Tables in memory of user space come, keep what is written to them,
 * and go. A failure to make an array leaves nothing behind. Arrays of BPF are tested end to end.
 */
#include <stdbool.h>
#include "engine/extents.h"
#include "tap.h"
#include "valgrind.h"

#define TABLES      231U
#define NO_MAP      (1 << 20) /* no such file descriptor */
#define TABLE_BYTES (EXTENT_SLABS * sizeof(struct slab))

static uint64_t mark(uint32_t index)
{
	return index * 0x9e3779b97f4a7c15;
}

/* Writes all slabs of so many tables, or looks whether they are as they were written. */
static int write_tables(struct extents *extents, uint32_t tables)
{
	int err = 0;

	for (uint32_t i = 0; i < tables * EXTENT_SLABS && !err; i++) {
		err = extents__need_slab(extents, i);
		if (!err)
			*extents__slab(extents, i) = (struct slab){.address = mark(i)};
	}
	return err;
}

static bool are_written(const struct extents *extents, uint32_t tables)
{
	for (uint32_t i = 0; i < tables * EXTENT_SLABS; i++)
		if (extents__slab(extents, i)->address != mark(i))
			return false;
	return true;
}

/* Counts the extents that have a table or slots. */
static size_t extents_of(const struct extents *extents)
{
	size_t count = 0;

	for (uint32_t i = 0; i < extents->made; i++)
		count += extents->items[i].table || extents->items[i].slots;
	return count;
}

static void test_tables(void)
{
	struct extents extents;

	tap__ok(extents__open(&extents, -1, -1) == 0 && !extents__memory(&extents) &&
			!extents__slots(&extents) && !extents_of(&extents),
		"opened: nothing is there");
	tap__equal(write_tables(&extents, TABLES), 0, "tables are made as they are needed");
	tap__ok(extents__memory(&extents) == TABLES * TABLE_BYTES && extents_of(&extents) == TABLES,
		"each is counted");
	tap__ok(are_written(&extents, TABLES), "each keeps what is written to it");
	extents__trim_slabs(&extents, (uint64_t)TABLES * EXTENT_SLABS);
	tap__equal(extents_of(&extents), TABLES, "trimmed to what is there: all stay");
	extents__trim_slots(&extents, 0);
	tap__equal(extents_of(&extents), TABLES, "no extent to trim: all stay");
	extents__trim_slabs(&extents, 64 * EXTENT_SLABS + 1);
	/* 65, a thirty-second part of that, and two */
	tap__ok(extents_of(&extents) == 69 && extents__memory(&extents) == 69 * TABLE_BYTES &&
			are_written(&extents, 69),
		"trimmed: some to spare stay, as they were");
	tap__ok(write_tables(&extents, TABLES) == 0 && are_written(&extents, TABLES),
		"and more are made again");
	extents__trim_slabs(&extents, 0);
	tap__equal(extents_of(&extents), 2, "trimmed to nothing: two stay");
	tap__ok(extents__fit_slabs(&extents, (uint64_t)TABLES * EXTENT_SLABS - 1) == 0 &&
			extents_of(&extents) == TABLES,
		"fitted: all tables are made at once");
	tap__ok(extents__fit_slabs(&extents, 1) == 0 && extents_of(&extents) == 3,
		"fitted to less: some go");
	extents__close(&extents);
	extents__close(&extents);
	tap__ok(!extents.items && !extents.made, "closed, twice");
}

static void test_ends(void)
{
	struct extents extents;
	uint32_t last = EXTENTS * EXTENT_SLABS - 1;

	tap__ok(extents__open(&extents, -1, -1) == 0 && extents__need_slab(&extents, last) == 0 &&
			extents__memory(&extents) == TABLE_BYTES,
		"the last table alone");
	extents__slab(&extents, last)->address = 23;
	tap__equal(extents__need_table(&extents, EXTENTS - 1), 0, "asked for once more");
	tap__ok(extents__slab(&extents, last)->address == 23 && extents_of(&extents) == 1,
		"it is the same");
	extents__close(&extents);
}

/* The descriptors are no maps, and without privileges none can be made. */
static void test_failing(void)
{
	struct extents extents;

	if (under_valgrind()) {
		tap__skip(6, "valgrind wants all bytes of a bpf(2) attribute, the kernel does not");
		return;
	}
	tap__equal(extents__open(&extents, NO_MAP, NO_MAP), 0, "with BPF arrays for tables");
	tap__ok(extents__need_table(&extents, 23) < 0 && extents__need_slots(&extents, 41) < 0,
		"there is no outer array: an error");
	tap__ok(!extents_of(&extents) && !extents.made, "nothing is left");
	tap__ok(extents__fit_slots(&extents, 1) < 0 && !extents__slots(&extents),
		"an extent that does not fit in: an error");
	tap__ok(extents__fit_slots(&extents, 2 * EXTENT_SLABS + 1) < 0 && !extents__slots(&extents),
		"the same with three at once");
	tap__ok(!extents__provide(&extents, 1) && !extents__slots(&extents),
		"nor can one be made ahead, and no more are wanted");
	extents__close(&extents);
}

int main(void)
{
	tap__plan(21);
	test_tables();
	test_ends();
	test_failing();
	return tap__done();
}
