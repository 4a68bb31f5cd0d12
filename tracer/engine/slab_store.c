/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The slab store from user space.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "engine/extents.h"
#include "target/write_batch.h"
#include "engine/slab_store.h"
#include "target/reason.h"

enum { WRITE_SLABS = 1024 };

struct slab_store {
	struct state *state;
	struct page_engine *pages; /* NULL: the bytes are in extents */
	struct intervals ranges;   /* kept in slabs */
	struct intervals known;    /* pages in the table */
	struct extents extents;    /* the table and, without the page engine, the slots */
	struct write_batch pieces; /* to write, while a restore is repaired */
	bool verify;
	uint32_t zeros;  /* pages of the last checkpoint that took no slot */
	uint8_t *buffer; /* with the page engine: WRITE_SLABS, bytes on their way */
	uint32_t sorted; /* slabs in address order; those after it were appended by a restore */
};

int slab_store__open(int extents_fd, int tables_fd, struct page_engine *pages, struct state *state,
		     bool verify, struct slab_store **ret_store)
{
	struct slab_store *store = calloc(1, sizeof(*store));
	int err;

	if (!store)
		return -ENOMEM;
	store->state = state;
	store->verify = verify;
	store->pages = pages;
	err = extents__open(&store->extents, extents_fd, tables_fd, pages != NULL);
	if (!err && pages) {
		store->buffer = malloc((size_t)WRITE_SLABS * SLAB_BYTES);
		err = store->buffer ? 0 : -ENOMEM;
	}
	if (err) {
		slab_store__free(store);
		return err;
	}
	*ret_store = store;
	return 0;
}

const struct intervals *slab_store__ranges(const struct slab_store *store)
{
	return &store->ranges;
}

static struct slab *slab_at(const struct slab_store *store, uint32_t index)
{
	return extents__slab(&store->extents, index);
}

/* Slots for so many pages, if as many of them are zeros as the last time, and one to read a page of
 * zeros into. If fewer are zeros, BPF leaves the last of the others to be repaired. */
static uint64_t slots_for(const struct slab_store *store, uint64_t pages)
{
	return (pages > store->zeros ? pages - store->zeros : 0) + 1;
}

bool slab_store__provide(struct slab_store *store, uint64_t pages)
{
	/* where that fails, the checkpoint will say so, if it still is so then */
	return !store->pages && extents__provide(&store->extents, slots_for(store, pages));
}

/* ---- the table ---- */

static int append(struct slab_store *store, uint64_t address, enum slab_state slab_state)
{
	uint32_t index = store->state->slabs;
	int err;

	if (index >= EXTENTS * EXTENT_SLABS)
		return -REASON_SLAB_LIMIT;
	err = extents__need_slab(&store->extents, index);
	if (err)
		return err;
	*slab_at(store, index) = (struct slab){.address = address, .state = (uint8_t)slab_state};
	store->state->slabs = index + 1;
	return 0;
}

static int append_all(struct slab_store *store, const struct intervals *pages,
		      enum slab_state slab_state)
{
	int err = 0;

	for (size_t i = 0; i < pages->count && !err; i++)
		for (uint64_t page = pages->items[i].start; page < pages->items[i].end && !err;
		     page += SLAB_BYTES)
			err = append(store, page, slab_state);
	return err;
}

void slab_store__clear(struct slab_store *store)
{
	store->state->slabs = store->state->slots = store->state->visits = 0;
	store->sorted = 0;
	intervals__clear(&store->ranges);
	intervals__clear(&store->known);
}

/* Does a poll of the page engine visit the slab? */
static bool is_on_walk(const struct slab *slab)
{
	return slab->state == SLAB_DUE || slab->state == SLAB_PRESENT || slab->state == SLAB_ZERO;
}

/* With the page engine and --verify: a slab that is not what was saved is not restored. */
static int verify(struct slab_store *store, struct slab *slab)
{
	int err = page_engine__get(store->pages, slab->address, store->buffer);

	if (err || slab_checksum((const __u64 *)store->buffer) == slab->checksum)
		return err;
	slab->state = SLAB_UNREADABLE;
	store->state->counters[COUNTER_SLABS_DAMAGED]++;
	return 0;
}

/* Says what the polls of a copy have to visit. */
static int lay_out(struct slab_store *store, enum operation_kind kind)
{
	int err = 0;

	if (!store->pages) {
		store->state->visits = store->state->slabs;
		return 0;
	}
	page_engine__begin_walk(store->pages);
	for (uint32_t i = 0; i < store->state->slabs && !err; i++) {
		struct slab *slab = slab_at(store, i);

		if (store->verify && slab->state == SLAB_PRESENT)
			err = verify(store, slab);
		if (!err && is_on_walk(slab))
			err = page_engine__add(store->pages, slab->address,
					       slab->state == SLAB_ZERO);
	}
	if (!err)
		err = page_engine__end_walk(store->pages, kind, store->state->target,
					    &store->state->visits);
	return err;
}

int slab_store__begin_checkpoint(struct slab_store *store, const struct intervals *ranges,
				 struct memory *memory)
{
	int err;

	slab_store__clear(store);
	err = intervals__copy(ranges, &store->ranges);
	for (size_t i = 0; i < ranges->count && !err; i++)
		err = memory__data_pages(memory, ranges->items[i].start, ranges->items[i].end,
					 &store->known);
	if (!err && intervals__bytes(&store->known) > (uint64_t)EXTENTS * EXTENT_SLABS * SLAB_BYTES)
		err = -REASON_SLAB_LIMIT;
	if (!err && store->pages)
		err = page_engine__reserve(store->pages, &store->known);
	else if (!err)
		err = extents__fit_slots(
			&store->extents,
			slots_for(store, intervals__bytes(&store->known) / SLAB_BYTES));
	if (!err)
		extents__trim_slabs(&store->extents, intervals__bytes(&store->known) / SLAB_BYTES);
	if (!err)
		err = append_all(store, &store->known, SLAB_DUE);
	if (!err)
		err = lay_out(store, OPERATION_CHECKPOINT);
	if (err)
		slab_store__clear(store);
	store->sorted = store->state->slabs;
	return err;
}

void slab_store__end_checkpoint(struct slab_store *store)
{
	store->zeros = store->state->slabs - store->state->slots;
	extents__trim_slots(&store->extents, store->state->slots);
}

int slab_store__begin_restore(struct slab_store *store, struct memory *memory)
{
	struct intervals now = {0}, since = {0};
	int err = 0;

	for (size_t i = 0; i < store->ranges.count && !err; i++)
		err = memory__data_pages(memory, store->ranges.items[i].start,
					 store->ranges.items[i].end, &now);
	if (!err)
		err = intervals__subtract(&now, &store->known, &since);
	if (!err)
		err = append_all(store, &since, SLAB_ZERO);
	for (size_t i = 0; i < since.count && !err; i++)
		err = intervals__add(&store->known, since.items[i].start, since.items[i].end);
	if (!err)
		err = lay_out(store, OPERATION_RESTORE);
	intervals__clear(&now);
	intervals__clear(&since);
	return err;
}

/* The first of the sorted slabs at or above address. */
static uint32_t find_slab(const struct slab_store *store, uint64_t address)
{
	uint32_t low = 0, high = store->sorted;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (slab_at(store, middle)->address < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int slab_store__drop(struct slab_store *store, uint64_t start, uint64_t end)
{
	int err;

	if (!store->ranges.count)
		return 0;
	for (uint32_t i = find_slab(store, start); i < store->sorted; i++) {
		if (slab_at(store, i)->address >= end)
			break;
		slab_at(store, i)->state = SLAB_GONE;
	}
	for (uint32_t i = store->sorted; i < store->state->slabs; i++)
		if (slab_at(store, i)->address >= start && slab_at(store, i)->address < end)
			slab_at(store, i)->state = SLAB_GONE;
	err = intervals__remove(&store->ranges, start, end);
	if (!err)
		err = intervals__remove(&store->known, start, end);
	if (!err && store->pages)
		err = page_engine__drop(store->pages, start, end);
	return err;
}

/* ---- what the page engine says ---- */

static void flag(struct slab_store *store, struct slab *slab, uint8_t flags)
{
	slab->flags = flags;
	store->state->operation.slab_flags++;
}

static int collect_read(struct slab_store *store, struct slab *slab, int code)
{
	if (!code) {
		slab->state = SLAB_PRESENT;
		store->state->slots++;
		store->state->operation.copied += SLAB_CHUNKS;
		if (!store->verify)
			return 0;
		code = page_engine__get(store->pages, slab->address, store->buffer);
		slab->checksum = slab_checksum((const __u64 *)store->buffer);
		return code;
	}
	slab->state = SLAB_UNREADABLE;
	flag(store, slab, SLAB_FAILED);
	store->state->operation.absent += SLAB_CHUNKS;
	/* what an earlier checkpoint has saved of it must not come back */
	return page_engine__drop(store->pages, slab->address, slab->address + SLAB_BYTES);
}

static void collect_written(struct slab_store *store, struct slab *slab, int code)
{
	struct operation *operation = &store->state->operation;

	if (!code) {
		operation->copied += SLAB_CHUNKS;
	} else if (slab->state == SLAB_ZERO) { /* it may well be absent, and so zero */
		flag(store, slab, SLAB_FAILED);
		operation->absent += SLAB_CHUNKS;
	} else {
		flag(store, slab, SLAB_FAILED | SLAB_DIRTY);
		operation->unwritten += SLAB_CHUNKS;
	}
}

int slab_store__collect(struct slab_store *store)
{
	bool reading = store->state->operation.kind == OPERATION_CHECKPOINT;
	uint32_t number = 0;
	int err = 0;

	for (uint32_t i = 0; store->pages && i < store->state->slabs && !err; i++) {
		struct slab *slab = slab_at(store, i);

		slab->flags = 0;
		if (slab->state == SLAB_UNREADABLE && !reading)
			store->state->operation.lost += SLAB_CHUNKS;
		if (!is_on_walk(slab))
			continue;
		if (reading)
			err = collect_read(store, slab, page_engine__code(store->pages, number++));
		else if (page_engine__restores(store->pages))
			collect_written(store, slab, page_engine__code(store->pages, number++));
		else
			collect_written(store, slab, -EPERM);
	}
	return err;
}

/* ---- repair ---- */

static bool is_due(const struct slab *slab, struct memory *memory)
{
	return slab->flags & SLAB_DIRTY ||
	       (slab->flags & SLAB_FAILED && memory__holds_data(memory, slab->address));
}

bool slab_store__needs_repair(struct slab_store *store, struct memory *memory)
{
	if (!store->state->operation.slab_flags)
		return false;
	for (uint32_t i = 0; i < store->state->slabs; i++)
		if (is_due(slab_at(store, i), memory))
			return true;
	return false;
}

static bool is_zero(const uint8_t *bytes)
{
	return !bytes[0] && !memcmp(bytes, bytes + 1, SLAB_BYTES - 1);
}

int slab_store__repair_checkpoint(struct slab_store *store, struct memory *memory,
				  struct snapshot_result *result)
{
	for (uint32_t i = 0; i < store->state->slabs && store->state->operation.slab_flags; i++) {
		struct slab *slab = slab_at(store, i);
		uint32_t slot = store->state->slots;
		uint8_t *bytes;
		int err;

		if (!(slab->flags & SLAB_FAILED))
			continue;
		if (!memory__holds_data(memory, slab->address)) {
			slab->state = SLAB_ZERO;
			continue;
		}
		err = store->pages ? 0 : extents__need_slot(&store->extents, slot);
		if (err)
			return err;
		bytes = store->pages ? store->buffer : extents__slot(&store->extents, slot);
		err = memory__read(memory, slab->address, bytes, SLAB_BYTES);
		if (err == -ESRCH)
			return err;
		if (err) {
			result->failed += SLAB_CHUNKS;
			continue;
		}
		result->moved += SLAB_CHUNKS;
		result->forced += SLAB_CHUNKS;
		if (is_zero(bytes)) {
			slab->state = SLAB_ZERO;
			continue;
		}
		if (store->pages)
			err = page_engine__put(store->pages, slab->address, bytes);
		if (err)
			return err;
		slab->checksum = store->verify ? slab_checksum((const __u64 *)bytes) : 0;
		slab->slot = slot;
		slab->state = SLAB_PRESENT;
		store->state->slots++;
	}
	return 0;
}

/* Writes the pieces collected so far. */
static int write_pieces(struct slab_store *store, struct memory *memory,
			struct snapshot_result *result)
{
	uint64_t bytes, forced, failed;
	int err = write_batch__write(&store->pieces, memory, &bytes, &forced, &failed);

	result->moved += (bytes - failed) / CHUNK_BYTES;
	result->forced += forced / CHUNK_BYTES;
	result->failed += failed / CHUNK_BYTES;
	return err == -EFAULT ? 0 : err;
}

/* The bytes that a slab is to have: in its slot, or fetched into place number at of the buffer. */
static int saved_bytes(struct slab_store *store, const struct slab *slab, size_t at,
		       uint8_t **ret_bytes)
{
	static uint8_t zeros[SLAB_BYTES]; /* never written to */

	*ret_bytes = zeros;
	if (slab->state != SLAB_PRESENT)
		return 0;
	if (!store->pages) {
		*ret_bytes = extents__slot(&store->extents, slab->slot);
		return 0;
	}
	*ret_bytes = store->buffer + at * SLAB_BYTES;
	return page_engine__get(store->pages, slab->address, *ret_bytes);
}

int slab_store__repair_restore(struct slab_store *store, struct memory *memory,
			       struct snapshot_result *result)
{
	size_t fetched = 0;
	int err = 0;

	write_batch__forget(&store->pieces); /* of one that has failed */
	for (uint32_t i = 0; i < store->state->slabs && store->state->operation.slab_flags && !err;
	     i++) {
		const struct slab *slab = slab_at(store, i);
		uint8_t *bytes;

		if (!is_due(slab, memory))
			continue;
		if (store->pages && fetched == WRITE_SLABS) {
			err = write_pieces(store, memory, result);
			fetched = 0;
		}
		if (!err)
			err = saved_bytes(store, slab, fetched++, &bytes);
		if (!err)
			err = write_batch__add(&store->pieces, bytes, slab->address, SLAB_BYTES);
	}
	return err ? err : write_pieces(store, memory, result);
}

void slab_store__for_each(struct slab_store *store,
			  void (*each)(const struct slab *slab, const uint8_t *bytes,
				       void *argument),
			  void *argument)
{
	for (uint32_t i = 0; i < store->state->slabs; i++) {
		const struct slab *slab = slab_at(store, i);
		uint8_t *bytes = NULL;

		if (slab->state == SLAB_GONE)
			continue;
		if (slab->state == SLAB_PRESENT && saved_bytes(store, slab, 0, &bytes))
			bytes = NULL;
		each(slab, bytes, argument);
	}
}

int slab_store__read(struct slab_store *store, const struct slab *slab, const uint8_t **ret_bytes)
{
	uint8_t *bytes;
	int err = saved_bytes(store, slab, 0, &bytes);

	if (!err)
		*ret_bytes = bytes;
	return err;
}

uint64_t slab_store__appended(const struct slab_store *store)
{
	uint64_t count = 0;

	for (uint32_t i = store->sorted; i < store->state->slabs; i++)
		count += slab_at(store, i)->state != SLAB_GONE;
	return count;
}

uint64_t slab_store__slots(const struct slab_store *store)
{
	return store->pages ? page_engine__places(store->pages) : extents__slots(&store->extents);
}

uint64_t slab_store__memory(const struct slab_store *store)
{
	return extents__memory(&store->extents) +
	       (store->pages ? page_engine__memory(store->pages) : 0);
}

void slab_store__damage(struct slab_store *store)
{
	for (uint32_t i = 0; i < store->state->slabs; i++) {
		const struct slab *slab = slab_at(store, i);
		uint8_t *bytes;

		if (slab->state != SLAB_PRESENT || saved_bytes(store, slab, 0, &bytes))
			continue;
		*bytes ^= 1;
		if (store->pages)
			(void)page_engine__put(store->pages, slab->address, bytes);
		return;
	}
}

void slab_store__free(struct slab_store *store)
{
	if (!store)
		return;
	extents__close(&store->extents);
	intervals__clear(&store->ranges);
	intervals__clear(&store->known);
	write_batch__clear(&store->pieces);
	free(store->buffer);
	free(store);
}
