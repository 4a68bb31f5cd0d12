/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The table of a paged engine: an entry for each page, found by its address.
 *
 *	entries:  |page|page|page|page| ... |page|page|page|
 *	           ^ sorted by address       ^ appended since
 *	order:                              |  2 |  0 |  1 |   the appended ones by address
 *
 * Always holds: no two entries that are not gone have the same address. An entry keeps its number
 * until slab_table__tidy. The entries lie in extents, where the kernel side sees them; their number
 * is state->slabs.
 */
#ifndef TRACER_ENGINE_SLAB_TABLE_H
#define TRACER_ENGINE_SLAB_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/types.h>
#include "tracer.h"
#include "engine/extents.h"

#define NO_SLAB 0xffffffffU

struct slab_table {
	struct extents *extents; /* borrowed */
	struct state *state;     /* borrowed */
	uint32_t sorted;
	uint32_t last_found; /* number of a sorted one: there the next search begins */
	uint32_t gone;       /* entries of pages that are unmapped */
	uint32_t *order;
	size_t appended, room;
};

static inline struct slab *slab_table__at(const struct slab_table *table, uint32_t index)
{
	return extents__slab(table->extents, index);
}

/* Entries that are not gone. */
static inline uint32_t slab_table__pages(const struct slab_table *table)
{
	return table->state->slabs - table->gone;
}

/* Adds an entry without a slot for a page that has none. 0 and its number, -REASON_SLAB_LIMIT,
 * -ENOMEM or another -errno (the table is unchanged). */
int slab_table__append(struct slab_table *table, uint64_t address, enum slab_state state,
		       uint32_t *ret_index);

/* The number of the entry of a page, or NO_SLAB. One that is gone is not found. */
uint32_t slab_table__find(struct slab_table *table, uint64_t address);

/* [start, end) is unmapped: its entries are gone, and keep their slots. */
void slab_table__drop(struct slab_table *table, uint64_t start, uint64_t end);

/* Takes the entries from number count on away. */
void slab_table__truncate(struct slab_table *table, uint32_t count);

/* Sorts all entries and takes out those that are gone, if they or the appended ones are many.
 * release is called for each that goes. 0 or -ENOMEM (the table is unchanged). */
int slab_table__tidy(struct slab_table *table, void (*release)(struct slab *slab, void *argument),
		     void *argument);

/* Empties the table and frees its memory. Harmless on one that is zero-initialised but for the two
 * borrowed pointers. */
void slab_table__clear(struct slab_table *table);

#endif
