/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See slab_table.h.
 */
#include "engine/slab_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "target/reason.h"

/* To sort costs as much as to copy the table, so it waits until that many entries ask for it. */
enum { UNTIDY = 1024, APPENDED_SHARE = 8, GONE_SHARE = 4 };

static uint64_t address_at(const struct slab_table *table, uint32_t index)
{
	return slab_table__at(table, index)->address;
}

/* The first of the sorted entries at or above address. */
static uint32_t first_sorted(const struct slab_table *table, uint64_t address)
{
	uint32_t low = 0, high = table->sorted;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (address_at(table, middle) < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The same of the appended ones: a place in order. */
static size_t first_appended(const struct slab_table *table, uint64_t address)
{
	size_t low = 0, high = table->appended;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (address_at(table, table->order[middle]) < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int need_room(struct slab_table *table)
{
	size_t room = table->room ? 2 * table->room : 64;
	uint32_t *order;

	if (table->appended < table->room)
		return 0;
	order = reallocarray(table->order, room, sizeof(*order));
	if (!order)
		return -ENOMEM;
	table->order = order;
	table->room = room;
	return 0;
}

int slab_table__append(struct slab_table *table, uint64_t address, enum slab_state slab_state,
		       uint32_t *ret_index)
{
	struct state *state = table->state;
	uint32_t index = state->slabs;
	size_t place;
	int err;

	if (index >= EXTENTS * EXTENT_SLABS)
		return -REASON_SLAB_LIMIT;
	err = extents__need_slab(table->extents, index);
	if (err)
		return err;
	if (index == table->sorted && (!index || address_at(table, index - 1) < address)) {
		table->sorted++;
	} else {
		err = need_room(table);
		if (err)
			return err;
		place = first_appended(table, address);
		memmove(table->order + place + 1, table->order + place,
			(table->appended - place) * sizeof(*table->order));
		table->order[place] = index;
		table->appended++;
	}
	*slab_table__at(table, index) =
		(struct slab){.address = address, .state = (uint8_t)slab_state, .slot = NO_SLOT};
	state->slabs = index + 1;
	*ret_index = index;
	return 0;
}

/* The sorted entry of a page, or NO_SLAB. Mostly, all pages from the one that was found last to
 * this one have entries: then it is where it is expected, and nothing is searched. */
static uint32_t find_sorted(struct slab_table *table, uint64_t address)
{
	uint64_t index = table->sorted;

	if (table->last_found < table->sorted)
		index = table->last_found +
			(address / SLAB_BYTES - address_at(table, table->last_found) / SLAB_BYTES);
	if (index >= table->sorted || address_at(table, (uint32_t)index) != address)
		index = first_sorted(table, address);
	if (index >= table->sorted || address_at(table, (uint32_t)index) != address)
		return NO_SLAB;
	table->last_found = (uint32_t)index;
	return table->last_found;
}

uint32_t slab_table__find(struct slab_table *table, uint64_t address)
{
	uint32_t index = find_sorted(table, address);

	if (index != NO_SLAB && slab_table__at(table, index)->state != SLAB_GONE)
		return index;
	for (size_t i = first_appended(table, address);
	     i < table->appended && address_at(table, table->order[i]) == address; i++)
		if (slab_table__at(table, table->order[i])->state != SLAB_GONE)
			return table->order[i];
	return NO_SLAB;
}

static void set_gone(struct slab_table *table, struct slab *slab)
{
	if (slab->state != SLAB_GONE)
		table->gone++;
	slab->state = SLAB_GONE;
}

void slab_table__drop(struct slab_table *table, uint64_t start, uint64_t end)
{
	for (uint32_t i = first_sorted(table, start);
	     i < table->sorted && address_at(table, i) < end; i++)
		set_gone(table, slab_table__at(table, i));
	for (size_t i = first_appended(table, start);
	     i < table->appended && address_at(table, table->order[i]) < end; i++)
		set_gone(table, slab_table__at(table, table->order[i]));
}

void slab_table__truncate(struct slab_table *table, uint32_t count)
{
	size_t kept = 0;

	for (uint32_t i = count; i < table->state->slabs; i++)
		if (slab_table__at(table, i)->state == SLAB_GONE)
			table->gone--;
	for (size_t i = 0; i < table->appended; i++)
		if (table->order[i] < count)
			table->order[kept++] = table->order[i];
	table->appended = kept;
	if (table->sorted > count)
		table->sorted = count;
	table->state->slabs = count;
}

/* The entry with the lower address of the next two, which is then passed. */
static const struct slab *merge(const struct slab_table *table, uint32_t *sorted, size_t *appended)
{
	const struct slab *one = NULL, *other = NULL;

	if (*sorted < table->sorted)
		one = slab_table__at(table, *sorted);
	if (*appended < table->appended)
		other = slab_table__at(table, table->order[*appended]);
	if (one && (!other || one->address <= other->address)) {
		(*sorted)++;
		return one;
	}
	(*appended)++;
	return other;
}

static bool is_untidy(const struct slab_table *table)
{
	return table->appended > table->sorted / APPENDED_SHARE + UNTIDY ||
	       table->gone > table->state->slabs / GONE_SHARE + UNTIDY;
}

int slab_table__tidy(struct slab_table *table, void (*release)(struct slab *slab, void *argument),
		     void *argument)
{
	uint32_t slabs = table->state->slabs, count = 0, sorted = 0;
	size_t appended = 0;
	struct slab *kept;

	if (!is_untidy(table))
		return 0;
	kept = malloc((slabs + 1) * sizeof(*kept));
	if (!kept)
		return -ENOMEM;
	for (uint32_t i = 0; i < slabs; i++) {
		kept[count] = *merge(table, &sorted, &appended);
		if (kept[count].state == SLAB_GONE)
			release(&kept[count], argument);
		else
			count++;
	}
	for (uint32_t i = 0; i < count; i++)
		*slab_table__at(table, i) = kept[i];
	free(kept);
	table->state->slabs = table->sorted = count;
	table->appended = table->gone = 0;
	return 0;
}

void slab_table__clear(struct slab_table *table)
{
	free(table->order);
	table->order = NULL;
	table->appended = table->room = 0;
	table->sorted = table->gone = 0;
	if (table->state)
		table->state->slabs = 0;
}
