/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The table of slabs: a hash from the address of a slab to its record, with open addressing and
 * linear probing. A removed entry is filled with a later one, so a probe never has to pass over
 * removed ones (Knuth, The Art of Computer Programming 3, 6.4, algorithm R).
 */
#include <errno.h>
#include <string.h>
#include "slab_internal.h"

enum { FIRST_CAPACITY = PAGE_BYTES / sizeof(struct entry) };

static struct entry *make_entries(size_t capacity, struct source *source)
{
	struct entry *entries = source__get(source, capacity * sizeof(*entries), PAGE_BYTES);

	if (entries)
		memset(entries, 0, capacity * sizeof(*entries));
	return entries;
}

int lookup__reserve(struct lookup *lookup)
{
	struct lookup larger = {.source = lookup->source};

	if (2 * (lookup->count + 1) <= lookup->capacity)
		return 0;
	larger.capacity = lookup->capacity ? 2 * lookup->capacity : FIRST_CAPACITY;
	larger.shift = 64 - (unsigned int)__builtin_ctzl(larger.capacity);
	larger.entries = make_entries(larger.capacity, lookup->source);
	if (!larger.entries)
		return -ENOMEM;
	for (size_t i = 0; i < lookup->capacity; i++)
		if (lookup->entries[i].address)
			lookup__insert(&larger, lookup->entries[i].address,
				       lookup->entries[i].record);
	lookup__free(lookup);
	*lookup = larger;
	return 0;
}

void lookup__insert(struct lookup *lookup, uintptr_t address, struct record *record)
{
	size_t i = lookup__hash(lookup, address);

	while (lookup->entries[i].address)
		i = (i + 1) & (lookup->capacity - 1);
	lookup->entries[i] = (struct entry){address, record};
	lookup->count++;
}

void lookup__remove(struct lookup *lookup, uintptr_t address)
{
	size_t last = lookup->capacity - 1, hole = lookup__hash(lookup, address);

	while (lookup->entries[hole].address != address)
		hole = (hole + 1) & last;
	for (size_t i = (hole + 1) & last; lookup->entries[i].address; i = (i + 1) & last) {
		size_t home = lookup__hash(lookup, lookup->entries[i].address);

		if (((i - home) & last) < ((i - hole) & last))
			continue; /* the hole is not between its home and its place */
		lookup->entries[hole] = lookup->entries[i];
		hole = i;
	}
	lookup->entries[hole] = (struct entry){0};
	lookup->count--;
}

void lookup__free(struct lookup *lookup)
{
	if (lookup->entries)
		(void)source__put(lookup->source, lookup->entries,
				  lookup->capacity * sizeof(struct entry));
	*lookup = (struct lookup){.source = lookup->source};
}
