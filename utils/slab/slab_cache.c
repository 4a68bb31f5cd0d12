/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Caches: see slab.h for the rules and slab_internal.h for the picture.
 */
#include <errno.h>
#include <string.h>
#include "slab_internal.h"

enum { SLAB_BYTES_DEFAULT = 65536, OBJECTS_WANTED = 8 };

/* ---- one call at a time ---- */

/* A signal handler that comes between the two lines has left again when the second runs. */
static inline bool enter(struct slab_cache *cache)
{
	if (cache->busy)
		return false;
	cache->busy = 1;
	__atomic_signal_fence(__ATOMIC_ACQ_REL);
	return true;
}

static inline void leave(struct slab_cache *cache)
{
	__atomic_signal_fence(__ATOMIC_ACQ_REL);
	cache->busy = 0;
}

/* ---- slabs ---- */

/* Slabs are added at the end. So a slab that was full gathers free objects while others are used
 * up, and does not change its list again with the next alloc. */
static void move(struct slab_cache *cache, struct record *record, enum list list)
{
	link__remove(&record->link);
	cache->counts[record->list]--;
	link__insert(cache->lists[list].previous, &record->link);
	cache->counts[list]++;
	record->list = list;
}

/* A new slab, in the list of empty ones. NULL when there is no memory. */
static struct record *make_slab(struct slab_cache *cache)
{
	size_t bytes = cache->options.slab_bytes;
	struct record *record;

	if (lookup__reserve(cache->lookup))
		return NULL;
	record = records__get(&cache->records, &cache->source);
	if (!record)
		return NULL;
	*record = (struct record){.cache = cache, .free = NONE, .list = LIST_EMPTY};
	record->start = source__get(&cache->source, bytes, bytes);
	if (!record->start) {
		records__put(&cache->records, &cache->source, record);
		return NULL;
	}
	record->first = record->start + cache->lead;
	debug__close_slab(cache, record);
	lookup__insert(cache->lookup, (uintptr_t)record->start, record);
	record->number = ++cache->made;
	if (cache->made - cache->given_back > cache->most_slabs)
		cache->most_slabs = cache->made - cache->given_back;
	link__insert(cache->lists[LIST_EMPTY].previous, &record->link);
	cache->counts[LIST_EMPTY]++;
	return record;
}

/* Gives an empty slab back. 0, or -errno if the callback does not take it: it then stays in use. */
static int drop_slab(struct slab_cache *cache, struct record *record)
{
	int err;

	debug__open_slab(cache, record);
	err = source__put(&cache->source, record->start, cache->options.slab_bytes);
	if (err) {
		debug__close_slab(cache, record);
		return err;
	}
	lookup__remove(cache->lookup, (uintptr_t)record->start);
	link__remove(&record->link);
	cache->counts[record->list]--;
	cache->given_back++;
	records__put(&cache->records, &cache->source, record);
	return 0;
}

/* A slab with a free object. A partial one is taken first, so that empty ones can be given back. At
 * most one slab has objects that were never used, because a slab is only made when all are full; it
 * comes after the slabs with freed objects. */
static struct record *find_room(struct slab_cache *cache)
{
	const struct link *partial = &cache->lists[LIST_PARTIAL];
	struct link *link = partial->next;
	struct record *record;

	if (link != partial && link->next != partial && ((struct record *)link)->free == NONE)
		move(cache, (struct record *)link, LIST_PARTIAL);
	if (partial->next != partial)
		return (struct record *)partial->next;
	link = cache->lists[LIST_EMPTY].previous; /* emptied last: most likely in the cache */
	record = link != &cache->lists[LIST_EMPTY] ? (struct record *)link : make_slab(cache);
	if (record)
		move(cache, record, LIST_PARTIAL);
	return record;
}

/* ---- objects ---- */

#define unlikely(condition) __builtin_expect(!!(condition), 0)

static inline unsigned char *object_at(const struct slab_cache *cache, const struct record *record,
				       uint32_t index)
{
	return record->first + index * cache->stride;
}

/* The index of the object that starts at this address, or NONE. For a multiple of the stride the
 * product with the rounded reciprocal is exact, since offsets are below 2^32; for other offsets the
 * comparison fails. */
static inline uint32_t index_of(const struct slab_cache *cache, const struct record *record,
				const void *object)
{
	uint64_t offset = (uint64_t)((uintptr_t)object - (uintptr_t)record->first);
	uint64_t index = (offset * cache->reciprocal) >> 32;

	return index < cache->objects && index * cache->stride == offset ? (uint32_t)index : NONE;
}

/* A slab has no free object any more. Out of line, like all rare cases below. */
static __attribute__((noinline)) void *close_full(struct slab_cache *cache, struct record *record,
						  void *object)
{
	move(cache, record, LIST_FULL);
	leave(cache);
	return object;
}

static void retire(struct slab_cache *cache, struct record *record, uint32_t index)
{
	record->next[index] = DAMAGED;
	cache->damaged++;
}

/* Takes an object that must be checked, one that was never used, or the first of a slab. */
static __attribute__((noinline)) void *alloc_slowly(struct slab_cache *cache)
{
	unsigned char *object = NULL;
	struct record *record;

	while (!object && (record = find_room(cache)) != NULL) {
		bool first = record->free == NONE;
		uint32_t index = first ? record->fresh++ : record->free;

		object = object_at(cache, record, index);
		if (!first)
			record->free = record->next[index];
		record->next[index] = USED;
		if (++record->used == cache->objects)
			move(cache, record, LIST_FULL);
		if (!first && debug__check(cache, object, true)) {
			retire(cache, record, index);
			object = NULL;
			continue;
		}
		debug__open_object(cache, object, first);
		if (first && cache->options.construct)
			cache->options.construct(object, cache->options.construct_argument);
	}
	if (object)
		cache->allocs++;
	else
		cache->failed++;
	leave(cache);
	return object;
}

void *slab_cache__alloc(struct slab_cache *cache)
{
	struct record *record;
	void *object;
	uint32_t index;

	if (unlikely(!enter(cache)))
		return NULL;
	record = (struct record *)cache->lists[LIST_PARTIAL].next;
	if (unlikely(&record->link == &cache->lists[LIST_PARTIAL] || record->free == NONE ||
		     cache->watched))
		return alloc_slowly(cache);
	index = record->free;
	record->free = record->next[index];
	record->next[index] = USED;
	object = object_at(cache, record, index);
	cache->allocs++;
	if (unlikely(++record->used == cache->objects))
		return close_full(cache, record, object);
	leave(cache);
	return object;
}

/* A slab that was full has a free object, or a slab has become empty. */
static __attribute__((noinline)) int settle(struct slab_cache *cache, struct record *record)
{
	move(cache, record, record->used ? LIST_PARTIAL : LIST_EMPTY);
	if (cache->counts[LIST_EMPTY] > cache->options.keep_empty) /* emptied first */
		(void)drop_slab(cache, (struct record *)cache->lists[LIST_EMPTY].next);
	leave(cache);
	return 0;
}

static __attribute__((noinline)) int refuse(struct slab_cache *cache, int err)
{
	leave(cache);
	return err;
}

static inline int release(struct slab_cache *cache, struct record *record, unsigned char *object)
{
	uint32_t index = index_of(cache, record, object);

	if (unlikely(index == NONE))
		return refuse(cache, -SLAB_NO_OBJECT);
	if (unlikely(index >= record->fresh || record->next[index] != USED))
		return refuse(cache, -SLAB_FREE_ALREADY);
	if (unlikely(cache->watched)) {
		int err = debug__check(cache, object, false);

		if (err) {
			retire(cache, record, index);
			cache->frees++;
			return refuse(cache, err);
		}
		debug__close_object(cache, object);
	}
	record->next[index] = (uint16_t)record->free;
	record->free = index;
	cache->frees++;
	record->used--;
	if (unlikely(!record->used || record->used + 1 == cache->objects))
		return settle(cache, record);
	leave(cache);
	return 0;
}

int cache__release(struct slab_cache *cache, struct record *record, unsigned char *object)
{
	return enter(cache) ? release(cache, record, object) : -SLAB_INTERRUPTED;
}

int slab_cache__free(struct slab_cache *cache, void *object)
{
	struct record *record;

	if (unlikely(!object))
		return 0;
	if (unlikely(!enter(cache)))
		return -SLAB_INTERRUPTED;
	record = lookup__find(cache->lookup, (uintptr_t)object & cache->mask);
	if (unlikely(!record || record->cache != cache))
		return refuse(cache, -SLAB_NO_OBJECT);
	return release(cache, record, object);
}

size_t slab_cache__shrink(struct slab_cache *cache)
{
	struct link *empty = &cache->lists[LIST_EMPTY];
	size_t before = cache->source.bytes;

	if (!enter(cache))
		return 0;
	while (empty->next != empty)
		if (drop_slab(cache, (struct record *)empty->next))
			break;
	leave(cache);
	return before - cache->source.bytes;
}

/* ---- life ---- */

static int fill_in(struct slab_options *options)
{
	size_t stride, align = options->object_bytes < 16 ? 8 : 16;

	if (!options->object_bytes || options->object_bytes > SLAB_MAX_BYTES)
		return -EINVAL;
	if (!options->memory.get != !options->memory.put)
		return -EINVAL;
	if (!options->align)
		options->align = align;
	if (options->align < 8 || options->align > SLAB_MAX_ALIGN ||
	    options->align & (options->align - 1))
		return -EINVAL;
	stride = debug__stride(options);
	if (!options->slab_bytes) {
		options->slab_bytes = SLAB_BYTES_DEFAULT;
		while (options->slab_bytes < OBJECTS_WANTED * stride &&
		       options->slab_bytes < SLAB_MAX_BYTES)
			options->slab_bytes *= 2;
	}
	if (options->slab_bytes < SLAB_MIN_BYTES || options->slab_bytes > SLAB_MAX_BYTES ||
	    options->slab_bytes & (options->slab_bytes - 1) || options->slab_bytes < stride)
		return -EINVAL;
	if (!options->keep_empty)
		options->keep_empty = SLAB_KEEP_EMPTY_DEFAULT;
	return 0;
}

int cache__open(struct slab_cache *cache, const struct slab_options *options, struct lookup *lookup)
{
	struct slab_options filled = *options;
	size_t objects;
	int err = fill_in(&filled);

	if (err)
		return err;
	*cache = (struct slab_cache){.options = filled};
	cache->source.memory = filled.memory;
	cache->stride = debug__stride(&filled);
	cache->lead = debug__lead(&filled);
	cache->watched = debug__watches(&filled);
	objects = filled.slab_bytes / cache->stride;
	cache->objects = objects > SLAB_MAX_OBJECTS ? SLAB_MAX_OBJECTS : (uint32_t)objects;
	cache->reciprocal = (((uint64_t)1 << 32) + cache->stride - 1) / cache->stride;
	cache->mask = ~(uintptr_t)(filled.slab_bytes - 1);
	cache->own_lookup.source = &cache->source;
	cache->lookup = lookup ? lookup : &cache->own_lookup;
	for (unsigned int i = 0; i < LISTS; i++)
		link__reset(&cache->lists[i]);
	records__open(&cache->records, sizeof(struct record) + cache->objects * sizeof(uint16_t));
	return 0;
}

int slab_cache__create(const struct slab_options *options, struct slab_cache **ret_cache)
{
	const size_t bytes = round_up(sizeof(struct slab_cache), PAGE_BYTES);
	struct source source = {.memory = options->memory};
	struct slab_options filled = *options;
	struct slab_cache *cache;
	int err = fill_in(&filled);

	if (err)
		return err;
	cache = source__get(&source, bytes, PAGE_BYTES);
	if (!cache)
		return -ENOMEM;
	(void)cache__open(cache, options, NULL); /* options were checked above */
	cache->source.bytes = bytes;
	*ret_cache = cache;
	return 0;
}

/* Memory that the callback does not take back is lost: nobody is left to try again. */
static void drop_list(struct slab_cache *cache, struct link *head)
{
	while (head->next != head) {
		struct record *record = (struct record *)head->next;

		debug__open_slab(cache, record);
		(void)source__put(&cache->source, record->start, cache->options.slab_bytes);
		lookup__remove(cache->lookup, (uintptr_t)record->start);
		link__remove(&record->link);
	}
}

void cache__close(struct slab_cache *cache)
{
	for (unsigned int i = 0; i < LISTS; i++)
		drop_list(cache, &cache->lists[i]);
	records__close(&cache->records, &cache->source);
	lookup__free(&cache->own_lookup);
}

void slab_cache__destroy(struct slab_cache *cache)
{
	struct source source;

	if (!cache)
		return;
	cache__close(cache);
	source = cache->source;
	(void)source__put(&source, cache, round_up(sizeof(*cache), PAGE_BYTES));
}
