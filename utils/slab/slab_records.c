/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Memory for the records of one cache, which all have the same size. Blocks are aligned to their
 * size, so a record's address leads to its block. The list of free records is in the records
 * themselves. No pointer of a user gets here. An empty block goes back as soon as the others have
 * room for as many records.
 */
#include "slab_internal.h"

enum { RECORDS_PER_BLOCK = 16 }; /* or more */

struct block {
	struct link link;
	struct link *free;        /* through link.next */
	size_t used, fresh, room; /* records */
};

static size_t header_bytes(void)
{
	return round_up(sizeof(struct block), 64);
}

static size_t power_of_two(size_t bytes)
{
	size_t power = PAGE_BYTES;

	while (power < bytes)
		power *= 2;
	return power;
}

void records__open(struct records *records, size_t record_bytes)
{
	link__reset(&records->partial);
	link__reset(&records->full);
	records->rooms = 0;
	records->record_bytes = round_up(record_bytes, 64); /* each in cache lines of its own */
	records->block_bytes =
		power_of_two(header_bytes() + RECORDS_PER_BLOCK * records->record_bytes);
}

static struct block *make_block(struct records *records, struct source *source)
{
	struct block *block = source__get(source, records->block_bytes, records->block_bytes);

	if (!block)
		return NULL;
	*block = (struct block){.room = (records->block_bytes - header_bytes()) /
					records->record_bytes};
	link__insert(&records->partial, &block->link);
	records->rooms += block->room;
	return block;
}

struct record *records__get(struct records *records, struct source *source)
{
	struct block *block = (struct block *)records->partial.next;
	struct link *record;

	if (records->partial.next == &records->partial) {
		block = make_block(records, source);
		if (!block)
			return NULL;
	}
	if (block->free) {
		record = block->free;
		block->free = record->next;
	} else {
		record = (struct link *)((char *)block + header_bytes() +
					 block->fresh++ * records->record_bytes);
	}
	records->rooms--;
	if (++block->used == block->room) {
		link__remove(&block->link);
		link__insert(&records->full, &block->link);
	}
	return (struct record *)record;
}

void records__put(struct records *records, struct source *source, struct record *record)
{
	struct block *block =
		(struct block *)((uintptr_t)record & ~(uintptr_t)(records->block_bytes - 1));

	record->link.next = block->free;
	block->free = &record->link;
	records->rooms++;
	if (block->used-- == block->room) {
		link__remove(&block->link);
		link__insert(&records->partial, &block->link);
	}
	if (block->used || records->rooms < 2 * block->room)
		return;
	link__remove(&block->link);
	records->rooms -= block->room;
	if (source__put(source, block, records->block_bytes)) { /* still ours */
		link__insert(&records->partial, &block->link);
		records->rooms += block->room;
	}
}

static void free_all(const struct records *records, struct source *source, struct link *head)
{
	for (struct link *link = head->next, *next; link != head; link = next) {
		next = link->next;
		(void)source__put(source, link, records->block_bytes);
	}
	link__reset(head);
}

void records__close(struct records *records, struct source *source)
{
	free_all(records, source, &records->partial);
	free_all(records, source, &records->full);
	records->rooms = 0;
}
