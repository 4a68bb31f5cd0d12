/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Memory for the records of one cache, which all have the same size. Blocks are aligned to their
 * size, so a record's address leads to its block. The list of free records is in the records
 * themselves. No pointer of a user gets here. An empty block goes back as soon as the others have
 * room for as many records.
 */
#include "slab_parts.h"

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

void blocks__open(struct blocks *blocks, size_t record_bytes)
{
	link__reset(&blocks->partial);
	link__reset(&blocks->full);
	blocks->rooms = 0;
	blocks->record_bytes = round_up(record_bytes, 64); /* each in cache lines of its own */
	blocks->block_bytes =
		power_of_two(header_bytes() + RECORDS_PER_BLOCK * blocks->record_bytes);
}

static struct block *make_block(struct blocks *blocks, struct source *source)
{
	struct block *block = source__get(source, blocks->block_bytes, blocks->block_bytes);

	if (!block)
		return NULL;
	*block = (struct block){.room = (blocks->block_bytes - header_bytes()) /
					blocks->record_bytes};
	link__insert(&blocks->partial, &block->link);
	blocks->rooms += block->room;
	return block;
}

struct record *blocks__get(struct blocks *blocks, struct source *source)
{
	struct block *block = (struct block *)blocks->partial.next;
	struct link *record;

	if (blocks->partial.next == &blocks->partial) {
		block = make_block(blocks, source);
		if (!block)
			return NULL;
	}
	if (block->free) {
		record = block->free;
		block->free = record->next;
	} else {
		record = (struct link *)((char *)block + header_bytes() +
					 block->fresh++ * blocks->record_bytes);
	}
	blocks->rooms--;
	if (++block->used == block->room) {
		link__remove(&block->link);
		link__insert(&blocks->full, &block->link);
	}
	return (struct record *)record;
}

void blocks__put(struct blocks *blocks, struct source *source, struct record *record)
{
	struct block *block =
		(struct block *)((uintptr_t)record & ~(uintptr_t)(blocks->block_bytes - 1));

	record->link.next = block->free;
	block->free = &record->link;
	blocks->rooms++;
	if (block->used-- == block->room) {
		link__remove(&block->link);
		link__insert(&blocks->partial, &block->link);
	}
	if (block->used || blocks->rooms < 2 * block->room)
		return;
	link__remove(&block->link);
	blocks->rooms -= block->room;
	if (source__put(source, block, blocks->block_bytes)) { /* still ours */
		link__insert(&blocks->partial, &block->link);
		blocks->rooms += block->room;
	}
}

static void free_all(const struct blocks *blocks, struct source *source, struct link *head)
{
	for (struct link *link = head->next, *next; link != head; link = next) {
		next = link->next;
		(void)source__put(source, link, blocks->block_bytes);
	}
	link__reset(head);
}

void blocks__close(struct blocks *blocks, struct source *source)
{
	free_all(blocks, source, &blocks->partial);
	free_all(blocks, source, &blocks->full);
	blocks->rooms = 0;
}
