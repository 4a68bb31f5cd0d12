/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a checkpoint of changed pages has changed in the slab table, so that it can be taken back:
 *
 *	table:      |a|b|c|d|e|f|     b and d in new slots, e and f appended
 *	revisions:  1: b as it was    3: d as it was    4 entries there were
 *
 * Always holds: the old slot of a page belongs to its revision, the new one to its entry. A page
 * that is unmapped meanwhile stays gone.
 */
#ifndef TRACER_ENGINE_REVISIONS_H
#define TRACER_ENGINE_REVISIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/intervals.h"
#include "engine/slab_table.h"

struct revision { /* an entry of the table before the checkpoint */
	struct slab before;
	uint32_t index;
};

struct revisions { /* zero-initialised: none */
	struct revision *items;
	size_t count, room;
	struct intervals saved; /* of the engine, as it was */
	uint32_t slabs;         /* entries there were */
	bool begun;
};

typedef void slot_giver(struct slab *slab, void *argument);

/* Begins to keep revisions. 0 or -ENOMEM (not begun). */
int revisions__begin(struct revisions *revisions, const struct slab_table *table,
		     const struct intervals *saved);

/* Keeps an entry as it is, before its first change. 0 or -ENOMEM. */
int revisions__keep(struct revisions *revisions, const struct slab_table *table, uint32_t index);

/* The checkpoint stands: give is called for each entry as it was, with its old slot. */
void revisions__forget(struct revisions *revisions, slot_giver *give, void *argument);

/* The table becomes what it was, and saved and known, too, but for what was dropped since. known:
 * the pages of the table. give is called for each entry with a new slot. 0, or -ENOMEM: all is then
 * undefined but valid. */
int revisions__revert(struct revisions *revisions, struct slab_table *table,
		      struct intervals *saved, struct intervals *known, slot_giver *give,
		      void *argument);

/* Frees what it holds, and gives no slot. Harmless on a zeroed struct. */
void revisions__clear(struct revisions *revisions);

#endif
