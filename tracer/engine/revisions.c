/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See revisions.h.
 */
#include "engine/revisions.h"

#include <errno.h>
#include <stdlib.h>

int revisions__begin(struct revisions *revisions, const struct slab_table *table,
		     const struct intervals *saved)
{
	int err = intervals__copy(saved, &revisions->saved);

	if (err)
		return err;
	revisions->slabs = table->state->slabs;
	revisions->begun = true;
	return 0;
}

int revisions__keep(struct revisions *revisions, const struct slab_table *table, uint32_t index)
{
	if (revisions->count == revisions->room) {
		size_t room = revisions->room ? 2 * revisions->room : 64;
		struct revision *items = reallocarray(revisions->items, room, sizeof(*items));

		if (!items)
			return -ENOMEM;
		revisions->items = items;
		revisions->room = room;
	}
	revisions->items[revisions->count++] =
		(struct revision){.before = *slab_table__at(table, index), .index = index};
	return 0;
}

/* Empties it, and keeps its memory for the next checkpoint. */
static void end(struct revisions *revisions)
{
	revisions->count = 0;
	intervals__clear(&revisions->saved);
	revisions->begun = false;
}

void revisions__forget(struct revisions *revisions, slot_giver *give, void *argument)
{
	for (size_t i = 0; i < revisions->count; i++)
		give(&revisions->items[i].before, argument);
	end(revisions);
}

static void put_back(struct slab *slab, const struct slab *before, slot_giver *give, void *argument)
{
	give(slab, argument);
	if (slab->state == SLAB_GONE)
		slab->slot = before->slot;
	else
		*slab = *before;
}

/* An entry that was appended since goes. */
static int take_away(struct slab *slab, struct intervals *known, slot_giver *give, void *argument)
{
	give(slab, argument);
	if (slab->state == SLAB_GONE)
		return 0;
	return intervals__remove(known, slab->address, slab->address + SLAB_BYTES);
}

int revisions__revert(struct revisions *revisions, struct slab_table *table,
		      struct intervals *saved, struct intervals *known, slot_giver *give,
		      void *argument)
{
	struct intervals both = {0};
	int err = intervals__intersect(saved, &revisions->saved, &both);

	if (err)
		goto out;
	intervals__clear(saved);
	*saved = both;
	for (size_t i = revisions->count; i > 0; i--)
		put_back(slab_table__at(table, revisions->items[i - 1].index),
			 &revisions->items[i - 1].before, give, argument);
	for (uint32_t i = revisions->slabs; i < table->state->slabs; i++) {
		err = take_away(slab_table__at(table, i), known, give, argument);
		if (err)
			goto out;
	}
	slab_table__truncate(table, revisions->slabs);
out:
	end(revisions);
	return err;
}

void revisions__clear(struct revisions *revisions)
{
	end(revisions);
	free(revisions->items);
	revisions->items = NULL;
	revisions->room = 0;
}
