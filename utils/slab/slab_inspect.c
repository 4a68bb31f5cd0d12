/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Numbers, views and checks of a cache. Nothing here changes it.
 */
#include "slab_internal.h"

void slab_cache__stats(const struct slab_cache *cache, struct slab_stats *ret_stats)
{
	size_t allocated = (size_t)(cache->allocs - cache->frees), slabs = 0, room, used;

	for (unsigned int i = 0; i < LISTS; i++)
		slabs += cache->counts[i];
	room = slabs * cache->options.slab_bytes;
	used = allocated * cache->options.object_bytes;
	*ret_stats = (struct slab_stats){
		.object_bytes = cache->options.object_bytes,
		.stride_bytes = cache->stride,
		.slab_bytes = cache->options.slab_bytes,
		.objects_per_slab = cache->objects,
		.allocated = allocated,
		.free = slabs * cache->objects - allocated - cache->damaged,
		.damaged = cache->damaged,
		.slabs = slabs,
		.most_slabs = cache->most_slabs,
		.full = cache->counts[LIST_FULL],
		.partial = cache->counts[LIST_PARTIAL],
		.empty = cache->counts[LIST_EMPTY],
		.bytes = cache->source.bytes,
		.allocs = cache->allocs,
		.frees = cache->frees,
		.failed = cache->failed,
		.made = cache->made,
		.given_back = cache->given_back,
		.fragmentation_permille = room ? (unsigned int)((room - used) * 1000 / room) : 0,
	};
}

static enum slab_object_state state_of(const struct record *record, uint32_t index)
{
	if (index >= record->fresh)
		return SLAB_OBJECT_FRESH;
	if (record->next[index] == USED)
		return SLAB_OBJECT_ALLOCATED;
	return record->next[index] == DAMAGED ? SLAB_OBJECT_DAMAGED : SLAB_OBJECT_FREE;
}

enum slab_object_state slab_cache__state(const struct slab_cache *cache, const void *object)
{
	const struct record *record = lookup__find(cache->lookup, (uintptr_t)object & cache->mask);
	size_t offset;

	if (!record || record->cache != cache)
		return SLAB_OBJECT_NONE;
	offset = (uintptr_t)object - (uintptr_t)record->first;
	if (offset % cache->stride || offset / cache->stride >= cache->objects)
		return SLAB_OBJECT_NONE;
	return state_of(record, (uint32_t)(offset / cache->stride));
}

int slab_cache__visit(struct slab_cache *cache,
		      void (*each)(const struct slab_view *view, void *argument), void *argument)
{
	if (cache->busy)
		return -SLAB_INTERRUPTED;
	for (unsigned int i = 0; i < LISTS; i++) {
		const struct link *head = &cache->lists[i];

		for (const struct link *link = head->next; link != head; link = link->next) {
			const struct record *record = (const struct record *)link;
			const struct slab_view view = {
				.first = record->first,
				.stride_bytes = cache->stride,
				.objects = cache->objects,
				.used = record->used,
				.number = record->number,
			};

			each(&view, argument);
		}
	}
	return 0;
}

/* ---- checking ---- */

struct totals {
	size_t slabs[LISTS], allocated, damaged;
};

/* Checks the objects of one slab. 0, or the error of debug__check, with the object in
 * *ret_object. */
static int check_objects(const struct slab_cache *cache, const struct record *record,
			 struct totals *totals, void **ret_object)
{
	for (uint32_t i = 0; i < record->fresh; i++) {
		unsigned char *object = record->first + i * cache->stride;
		enum slab_object_state state = state_of(record, i);
		int err = 0;

		totals->allocated += state == SLAB_OBJECT_ALLOCATED;
		totals->damaged += state == SLAB_OBJECT_DAMAGED;
		if (state != SLAB_OBJECT_DAMAGED)
			err = debug__check(cache, object, state == SLAB_OBJECT_FREE);
		if (err && ret_object)
			*ret_object = object;
		if (err)
			return err;
	}
	return 0;
}

/* Are the list of free objects, the count and the list of this slab right? */
static bool is_sound(const struct slab_cache *cache, const struct record *record, enum list list)
{
	uint32_t used = 0, length = 0;

	if (record->list != list || record->cache != cache || record->fresh > cache->objects ||
	    lookup__find(cache->lookup, (uintptr_t)record->start) != record)
		return false;
	for (uint32_t i = 0; i < record->fresh; i++)
		used += record->next[i] == USED || record->next[i] == DAMAGED;
	for (uint32_t i = record->free; i != NONE; i = record->next[i])
		if (i >= record->fresh || ++length > record->fresh)
			return false;
	if (used != record->used || used + length != record->fresh)
		return false;
	return list == (used == 0 ? LIST_EMPTY : used == cache->objects ? LIST_FULL : LIST_PARTIAL);
}

int slab_cache__check(struct slab_cache *cache, void **ret_object)
{
	struct totals totals = {0};
	int err;

	if (cache->busy)
		return -SLAB_INTERRUPTED;
	for (unsigned int i = 0; i < LISTS; i++) {
		const struct link *head = &cache->lists[i];

		for (const struct link *link = head->next; link != head; link = link->next) {
			const struct record *record = (const struct record *)link;

			if (link->next->previous != link || !is_sound(cache, record, i))
				return -SLAB_BROKEN;
			totals.slabs[i]++;
			err = check_objects(cache, record, &totals, ret_object);
			if (err)
				return err;
		}
		if (totals.slabs[i] != cache->counts[i])
			return -SLAB_BROKEN;
	}
	return totals.allocated == cache->allocs - cache->frees && totals.damaged == cache->damaged
		       ? 0
		       : -SLAB_BROKEN;
}
