/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The slab table and its slots lie in BPF arrays of EXTENT_SLABS values, mapped here. They hang in
 * two outer arrays under the same numbers (bpf/slab.bpf.h draws them):
 *
 *	items:  [0] |table|slots|  [1] |table|slots|  [2] |table|  -  |  ...  [made - 1]
 *	               |     |
 *	               |     `--> EXTENT_SLABS slots of SLAB_BYTES
 *	               `--------> EXTENT_SLABS of struct slab
 *
 * Always holds: an item that is not NULL is mapped and hangs in its outer array. From number made
 * on, all are NULL.
 * No file descriptor is kept, for there may be thousands. Slabs and slots are plain memory: no
 * system call looks at them. paged_engine.c knows which of them are in use.
 */
#ifndef TRACER_ENGINE_EXTENTS_H
#define TRACER_ENGINE_EXTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>
#include "tracer.h"

struct extent { /* NULL: not there */
	struct slab *table;
	uint8_t *slots;
};

struct extents {
	struct extent *items; /* EXTENTS of them */
	uint32_t made;
	int slots_fd, tables_fd;
};

/* slots_fd, tables_fd: the outer arrays, borrowed; -1: there will be no slots, and the tables are
 * memory of user space alone. 0 or -ENOMEM (extents__close is then still right). */
int extents__open(struct extents *extents, int slots_fd, int tables_fd);

/* Entry number index of the table. Its table must be there. */
static inline struct slab *extents__slab(const struct extents *extents, uint32_t index)
{
	return &extents->items[index / EXTENT_SLABS].table[index % EXTENT_SLABS];
}

/* SLAB_BYTES of the slot. Its extent must be there. */
static inline uint8_t *extents__slot(const struct extents *extents, uint32_t slot)
{
	return extents->items[slot / EXTENT_SLABS].slots +
	       (size_t)(slot % EXTENT_SLABS) * SLAB_BYTES;
}

/* Make the table, or the extent, number index, below EXTENTS, if it is not there. What a new table
 * holds is undefined. 0, -ENOMEM, or -errno of a BPF call; then it is still not there. */
int extents__need_table(struct extents *extents, uint32_t index);
int extents__need_slots(struct extents *extents, uint32_t index);

/* The same for the table of a slab and the extent of a slot, below EXTENTS * EXTENT_SLABS. */
static inline int extents__need_slab(struct extents *extents, uint32_t slab)
{
	uint32_t index = slab / EXTENT_SLABS;

	return extents->items[index].table ? 0 : extents__need_table(extents, index);
}

static inline int extents__need_slot(struct extents *extents, uint32_t slot)
{
	return extents__need_slots(extents, slot / EXTENT_SLABS);
}

/*
 * Make the extents for so many slots, or the tables for so many slabs. Give back the others, except
 * for a few. 0, or -ENOMEM or another -errno: some are then missing. Slots: -ENOMEM, too, if the
 * machine would have hardly any memory left.
 */
int extents__fit_slots(struct extents *extents, uint64_t slots);
int extents__fit_slabs(struct extents *extents, uint64_t slabs);

/* Give back those that extents__fit_... give back. */
void extents__trim_slots(struct extents *extents, uint64_t slots);
void extents__trim_slabs(struct extents *extents, uint64_t slabs);

/*
 * Makes extents for so many slots, and their tables. One call makes no more than 32 MiB of slots,
 * so that the caller is not kept long. Returns whether more are wanted; where there is no memory it
 * wants no more.
 */
bool extents__provide(struct extents *extents, uint64_t slots);

/* Slots there are; memory of extents and tables, in bytes. */
uint64_t extents__slots(const struct extents *extents);
uint64_t extents__memory(const struct extents *extents);

/* Gives everything back but what hangs in the outer arrays, which goes with them. Harmless on one
 * that is zero-initialised, and twice. */
void extents__close(struct extents *extents);

#endif
