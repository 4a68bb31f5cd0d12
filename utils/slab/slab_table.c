/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The table of slabs: a hash from the address of a slab to its record, with open addressing and
 * linear probing. A removed entry is filled with a later one, so a probe never has to pass over
 * removed ones (Knuth, The Art of Computer Programming 3, 6.4, algorithm R).
 */
#include <errno.h>
#include <string.h>
#include "slab_parts.h"

enum { FIRST_CAPACITY = PAGE_BYTES / sizeof(struct entry) };

static struct entry *make_entries(size_t capacity, struct source *source)
{
	struct entry *entries = source__get(source, capacity * sizeof(*entries), PAGE_BYTES);

	if (entries)
		memset(entries, 0, capacity * sizeof(*entries));
	return entries;
}

int table__reserve(struct table *table)
{
	struct table larger = {.source = table->source};

	if (2 * (table->count + 1) <= table->capacity)
		return 0;
	larger.capacity = table->capacity ? 2 * table->capacity : FIRST_CAPACITY;
	larger.shift = 64 - (unsigned int)__builtin_ctzl(larger.capacity);
	larger.entries = make_entries(larger.capacity, table->source);
	if (!larger.entries)
		return -ENOMEM;
	for (size_t i = 0; i < table->capacity; i++)
		if (table->entries[i].address)
			table__insert(&larger, table->entries[i].address, table->entries[i].record);
	table__free(table);
	*table = larger;
	return 0;
}

void table__insert(struct table *table, uintptr_t address, struct record *record)
{
	size_t i = table__hash(table, address);

	while (table->entries[i].address)
		i = (i + 1) & (table->capacity - 1);
	table->entries[i] = (struct entry){address, record};
	table->count++;
}

void table__remove(struct table *table, uintptr_t address)
{
	size_t last = table->capacity - 1, hole = table__hash(table, address);

	while (table->entries[hole].address != address)
		hole = (hole + 1) & last;
	for (size_t i = (hole + 1) & last; table->entries[i].address; i = (i + 1) & last) {
		size_t home = table__hash(table, table->entries[i].address);

		if (((i - home) & last) < ((i - hole) & last))
			continue; /* the hole is not between its home and its place */
		table->entries[hole] = table->entries[i];
		hole = i;
	}
	table->entries[hole] = (struct entry){0};
	table->count--;
}

void table__free(struct table *table)
{
	if (table->entries)
		(void)source__put(table->source, table->entries,
				  table->capacity * sizeof(struct entry));
	*table = (struct table){.source = table->source};
}
