/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See chunk_snapshot.h. The flat copy is filled from the stores, never the other way round.
 */
#include "engine/chunk_snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/page.h"
#include "target/write_batch.h"

enum { PAGE_CHUNKS = PAGE_BYTES / CHUNK_BYTES };

struct flat_range {
	uint64_t start, end; /* as in the ranges: the first chunk may begin before start */
	uint64_t base;       /* address of its first chunk */
	uint64_t index;      /* of its first chunk, in states and bytes */
};

struct chunk_snapshot {
	struct chunk_stores *stores;
	struct flat_range *ranges;
	size_t range_count;
	uint8_t *bytes;           /* CHUNK_BYTES for each chunk of the ranges */
	uint8_t *states;          /* enum chunk_state, the same */
	struct write_batch batch; /* to write, while a restore goes on */
};

int chunk_snapshot__create(struct chunk_stores *stores, struct chunk_snapshot **ret_snapshot)
{
	struct chunk_snapshot *snapshot = calloc(1, sizeof(*snapshot));

	if (!snapshot)
		return -ENOMEM;
	snapshot->stores = stores;
	*ret_snapshot = snapshot;
	return 0;
}

int chunk_snapshot__add(struct chunk_snapshot *snapshot, uint64_t start, uint64_t end,
			uint64_t *ret_done)
{
	struct chunk chunk = {.state = CHUNK_EMPTY, .first = start & CHUNK_MASK};
	int err = 0;

	*ret_done = start;
	for (uint64_t key = start & ~(uint64_t)CHUNK_MASK; key < end; key += CHUNK_BYTES) {
		err = chunk_stores__add(snapshot->stores, key, &chunk);
		if (err)
			break;
		chunk.first = 0;
		*ret_done = key + CHUNK_BYTES;
	}
	return err;
}

int chunk_snapshot__drop(struct chunk_snapshot *snapshot, uint64_t start, uint64_t end)
{
	int err = 0;

	for (uint64_t key = start & ~(uint64_t)CHUNK_MASK; key < end && !err; key += CHUNK_BYTES) {
		err = chunk_stores__remove(snapshot->stores, key);
		if (err == -ENOENT)
			err = 0;
	}
	return err;
}

int chunk_snapshot__drop_all(struct chunk_snapshot *snapshot)
{
	return chunk_stores__clear(snapshot->stores);
}

/* ---- repair ---- */

bool chunk_snapshot__needs_repair(struct memory *memory, const uint64_t *pages, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		if (!(pages[i] & SUSPECT_ABSENT) || memory__holds_data(memory, pages[i]))
			return true;
	return false;
}

static int read_again(struct chunk_snapshot *snapshot, struct memory *memory, uint64_t key,
		      struct engine_result *result)
{
	struct chunk chunk;
	int err = chunk_stores__get(snapshot->stores, key, &chunk);

	if (err)
		return err == -ENOENT ? 0 : err;
	if (chunk.state != CHUNK_ABSENT)
		return 0;
	err = memory__read(memory, key, chunk.bytes, CHUNK_BYTES);
	if (err == -ESRCH)
		return err;
	chunk.state = err ? CHUNK_UNREADABLE : CHUNK_PRESENT;
	if (err) {
		memset(chunk.bytes, 0, CHUNK_BYTES);
		result->failed++;
	} else {
		result->moved++;
		result->forced++;
	}
	return chunk_stores__put(snapshot->stores, key, &chunk);
}

static int write_again(struct chunk_snapshot *snapshot, struct memory *memory, uint64_t key,
		       struct engine_result *result)
{
	struct chunk chunk;
	int err = chunk_stores__get(snapshot->stores, key, &chunk);

	if (err)
		return err == -ENOENT ? 0 : err;
	if (chunk.state != CHUNK_PRESENT && chunk.state != CHUNK_ABSENT)
		return 0;
	err = memory__write(memory, key + chunk.first, chunk.bytes + chunk.first,
			    CHUNK_BYTES - chunk.first);
	if (err == -ESRCH)
		return err;
	if (err) {
		result->failed++;
	} else {
		result->moved++;
		result->forced++;
	}
	return 0;
}

typedef int repair_chunk(struct chunk_snapshot *, struct memory *, uint64_t,
			 struct engine_result *);

static int repair(struct chunk_snapshot *snapshot, struct memory *memory, const uint64_t *pages,
		  uint64_t count, repair_chunk *repair_one, struct engine_result *result)
{
	uint64_t last = 0;
	int err = 0;

	for (uint64_t i = 0; i < count && !err; i++) {
		uint64_t page = page__start(pages[i]);

		if (page == last ||
		    ((pages[i] & SUSPECT_ABSENT) && !memory__holds_data(memory, page)))
			continue;
		for (uint64_t k = 0; k < PAGE_CHUNKS && !err; k++)
			err = repair_one(snapshot, memory, page + k * CHUNK_BYTES, result);
		last = page;
	}
	return err;
}

int chunk_snapshot__repair_checkpoint(struct chunk_snapshot *snapshot, struct memory *memory,
				      const uint64_t *pages, uint64_t count,
				      struct engine_result *result)
{
	return repair(snapshot, memory, pages, count, read_again, result);
}

int chunk_snapshot__repair_restore(struct chunk_snapshot *snapshot, struct memory *memory,
				   const uint64_t *pages, uint64_t count,
				   struct engine_result *result)
{
	return repair(snapshot, memory, pages, count, write_again, result);
}

/* ---- the flat copy ---- */

static int lay_out(struct chunk_snapshot *snapshot, const struct intervals *ranges)
{
	struct flat_range *flat;
	uint64_t index = 0;
	uint8_t *bytes, *states;

	flat = realloc(snapshot->ranges, (ranges->count + 1) * sizeof(*flat));
	if (!flat)
		return -ENOMEM;
	snapshot->ranges = flat;
	snapshot->range_count = 0;
	for (size_t i = 0; i < ranges->count; i++) {
		flat[i].start = ranges->items[i].start;
		flat[i].end = ranges->items[i].end;
		flat[i].base = flat[i].start & ~(uint64_t)CHUNK_MASK;
		flat[i].index = index;
		index += (flat[i].end - flat[i].base + CHUNK_MASK) / CHUNK_BYTES;
	}
	bytes = realloc(snapshot->bytes, (index + 1) * CHUNK_BYTES);
	if (bytes)
		snapshot->bytes = bytes;
	states = realloc(snapshot->states, index + 1);
	if (states)
		snapshot->states = states;
	if (!bytes || !states)
		return -ENOMEM;
	memset(states, CHUNK_EMPTY, index + 1);
	snapshot->range_count = ranges->count;
	return 0;
}

static const struct flat_range *find_flat(const struct chunk_snapshot *snapshot, uint64_t key)
{
	size_t low = 0, high = snapshot->range_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (key < snapshot->ranges[middle].base)
			high = middle;
		else if (key >= snapshot->ranges[middle].end)
			low = middle + 1;
		else
			return &snapshot->ranges[middle];
	}
	return NULL;
}

static void flatten_chunk(uint64_t address, uint8_t state, const uint8_t *bytes, void *argument)
{
	struct chunk_snapshot *snapshot = argument;
	const struct flat_range *range = find_flat(snapshot, address);
	uint64_t index;

	if (!range)
		return;
	index = range->index + (address - range->base) / CHUNK_BYTES;
	snapshot->states[index] = state;
	if (bytes)
		memcpy(snapshot->bytes + index * CHUNK_BYTES, bytes, CHUNK_BYTES);
	else
		memset(snapshot->bytes + index * CHUNK_BYTES, 0, CHUNK_BYTES);
}

static int flatten(struct chunk_snapshot *snapshot, const struct intervals *ranges)
{
	int err = lay_out(snapshot, ranges);

	return err ? err : chunk_stores__for_each(snapshot->stores, flatten_chunk, snapshot);
}

/* ---- restoring from user space ---- */

/* A chunk that was absent is written as zeros if there is something now. */
static void include_absent(struct chunk_snapshot *snapshot, struct memory *memory)
{
	for (size_t i = 0; i < snapshot->range_count; i++) {
		const struct flat_range *range = &snapshot->ranges[i];
		uint8_t *state = snapshot->states + range->index;

		for (uint64_t base = range->base; base < range->end; base += CHUNK_BYTES, state++)
			if (*state == CHUNK_ABSENT && memory__holds_data(memory, base))
				*state = CHUNK_PRESENT;
	}
}

/* Collects the present chunks of the flat copy. */
static int collect_batch(struct chunk_snapshot *snapshot, uint64_t *ret_chunks)
{
	uint64_t chunks = 0;
	int err = 0;

	write_batch__forget(&snapshot->batch); /* of one that has failed */
	for (size_t i = 0; i < snapshot->range_count && !err; i++) {
		const struct flat_range *range = &snapshot->ranges[i];
		uint64_t index = range->index;

		for (uint64_t base = range->base; base < range->end && !err;
		     base += CHUNK_BYTES, index++) {
			uint64_t skip = base < range->start ? range->start - base : 0;

			if (snapshot->states[index] != CHUNK_PRESENT)
				continue;
			chunks++;
			err = write_batch__add(&snapshot->batch,
					       snapshot->bytes + index * CHUNK_BYTES + skip,
					       base + skip, CHUNK_BYTES - skip);
		}
	}
	*ret_chunks = chunks;
	return err;
}

int chunk_snapshot__restore(struct chunk_snapshot *snapshot, const struct intervals *ranges,
			    const struct difference *differences, uint64_t count,
			    struct memory *memory, struct engine_result *result)
{
	uint64_t chunks, bytes, forced, failed, lost;
	int err;

	if (count > DIFFERENCES) {
		err = flatten(snapshot, ranges);
		if (err)
			return err;
		include_absent(snapshot, memory);
	} else {
		err = lay_out(snapshot, ranges);
		if (err)
			return err;
		for (uint64_t i = 0; i < count; i++)
			flatten_chunk(differences[i].address, CHUNK_PRESENT, differences[i].bytes,
				      snapshot);
	}
	err = collect_batch(snapshot, &chunks);
	if (err)
		return err;
	err = write_batch__write(&snapshot->batch, memory, &bytes, &forced, &failed);
	lost = (failed + CHUNK_MASK) / CHUNK_BYTES;
	result->forced += forced / CHUNK_BYTES;
	result->failed += lost;
	result->moved += chunks - (lost < chunks ? lost : chunks);
	return err == -EFAULT ? 0 : err;
}

int chunk_snapshot__put_back(struct chunk_snapshot *snapshot, const struct difference *before)
{
	uint64_t address = before->address & ~(uint64_t)CHUNK_MASK;
	struct chunk chunk;
	int err = chunk_stores__get(snapshot->stores, address, &chunk);

	if (err == -ENOENT || (!err && chunk.state == CHUNK_EMPTY))
		return 0;
	if (err)
		return err;
	memcpy(chunk.bytes, before->bytes, CHUNK_BYTES);
	chunk.state = before->address & CHUNK_MASK;
	return chunk_stores__put(snapshot->stores, address, &chunk);
}

int chunk_snapshot__visit(struct chunk_snapshot *snapshot, const struct intervals *ranges,
			  saved_visitor *each, void *argument)
{
	static const enum saved_state states[] = {[CHUNK_EMPTY] = SAVED_EMPTY,
						  [CHUNK_PRESENT] = SAVED_PRESENT,
						  [CHUNK_ABSENT] = SAVED_ZERO,
						  [CHUNK_UNREADABLE] = SAVED_UNREADABLE};
	int err = flatten(snapshot, ranges);

	if (err)
		return err;
	for (size_t i = 0; i < snapshot->range_count; i++) {
		const struct flat_range *range = &snapshot->ranges[i];
		uint64_t index = range->index;

		for (uint64_t base = range->base; base < range->end; base += CHUNK_BYTES, index++) {
			const struct saved saved = {
				.kind = SAVED_CHUNK,
				.bytes = snapshot->bytes + index * CHUNK_BYTES,
				.address = base,
				.length = CHUNK_BYTES,
				.first = base < range->start ? (uint32_t)(range->start - base) : 0,
				.state = states[snapshot->states[index]],
			};

			each(&saved, argument);
		}
	}
	return 0;
}

void chunk_snapshot__free(struct chunk_snapshot *snapshot)
{
	if (!snapshot)
		return;
	free(snapshot->ranges);
	free(snapshot->bytes);
	free(snapshot->states);
	write_batch__clear(&snapshot->batch);
	free(snapshot);
}
