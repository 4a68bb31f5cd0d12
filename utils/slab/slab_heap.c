/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Heaps, see slab_heap.h. All slabs have the same size, so one mask turns any pointer into a key of
 * the table. A larger object is aligned like a slab. Its record has no cache, and is itself an
 * object of the heap.
 */
#include <errno.h>
#include <string.h>
#include "slab_heap.h"
#include "slab_internal.h"

enum { HEAP_SLAB_BYTES = 65536 };

static const uint16_t cached_bytes[SLAB_HEAP_CACHES] = {
	16,  32,  48,   64,   96,   128,  192,  256,  384,
	512, 768, 1024, 1536, 2048, 3072, 4096, 6144, SLAB_HEAP_MAX_CACHED,
};

struct large { /* an object in no cache */
	struct record record;
	size_t bytes;
};

struct slab_heap {
	volatile int busy; /* as in struct slab_cache */
	struct slab_cache caches[SLAB_HEAP_CACHES];
	struct lookup lookup;
	struct source source; /* of the heap itself, its table and large objects */
	size_t large, large_bytes;
	uint64_t failed;
};

static bool enter(struct slab_heap *heap)
{
	if (heap->busy)
		return false;
	heap->busy = 1;
	__atomic_signal_fence(__ATOMIC_ACQ_REL);
	return true;
}

static void leave(struct slab_heap *heap)
{
	__atomic_signal_fence(__ATOMIC_ACQ_REL);
	heap->busy = 0;
}

int slab_heap__create(const struct slab_memory *memory, uint32_t flags, struct slab_heap **ret_heap)
{
	const size_t bytes = round_up(sizeof(struct slab_heap), PAGE_BYTES);
	struct source source = {.memory = memory ? *memory : (struct slab_memory){0}};
	struct slab_heap *heap;

	if (!source.memory.get != !source.memory.put)
		return -EINVAL;
	heap = source__get(&source, bytes, PAGE_BYTES);
	if (!heap)
		return -ENOMEM;
	memset(heap, 0, sizeof(*heap));
	heap->source = source;
	heap->lookup.source = &heap->source;
	for (unsigned int i = 0; i < SLAB_HEAP_CACHES; i++) {
		const struct slab_options options = {
			.object_bytes = cached_bytes[i],
			.slab_bytes = HEAP_SLAB_BYTES,
			.flags = flags,
			.memory = source.memory,
		};

		(void)cache__open(&heap->caches[i], &options,
				  &heap->lookup); /* these options are valid */
	}
	*ret_heap = heap;
	return 0;
}

static struct slab_cache *cache_for(struct slab_heap *heap, size_t bytes)
{
	unsigned int i = 0;

	while (i < SLAB_HEAP_CACHES && cached_bytes[i] < bytes)
		i++;
	return i < SLAB_HEAP_CACHES ? &heap->caches[i] : NULL;
}

/* ---- larger objects ---- */

static void *alloc_large(struct slab_heap *heap, size_t bytes)
{
	struct slab_cache *cache = cache_for(heap, sizeof(struct large));
	struct large *large = NULL;
	void *object = NULL;

	if (bytes > PTRDIFF_MAX || lookup__reserve(&heap->lookup))
		return NULL;
	bytes = round_up(bytes, PAGE_BYTES);
	large = slab_cache__alloc(cache);
	if (large)
		object = source__get(&heap->source, bytes, HEAP_SLAB_BYTES);
	if (!object) {
		(void)slab_cache__free(cache, large);
		return NULL;
	}
	*large = (struct large){.record = {.start = object, .first = object}, .bytes = bytes};
	lookup__insert(&heap->lookup, (uintptr_t)object, &large->record);
	heap->large++;
	heap->large_bytes += bytes;
	return object;
}

static int free_large(struct slab_heap *heap, struct large *large)
{
	int err = source__put(&heap->source, large->record.start, large->bytes);

	if (err)
		return err;
	lookup__remove(&heap->lookup, (uintptr_t)large->record.start);
	heap->large--;
	heap->large_bytes -= large->bytes;
	return slab_cache__free(cache_for(heap, sizeof(*large)), large);
}

/* ---- any objects ---- */

static void *alloc(struct slab_heap *heap, size_t bytes)
{
	struct slab_cache *cache = cache_for(heap, bytes);
	void *object = cache ? slab_cache__alloc(cache) : alloc_large(heap, bytes);

	heap->failed += !object;
	return object;
}

/* The record of the slab or the larger object that address is in. */
static struct record *find(struct slab_heap *heap, const void *address)
{
	return lookup__find(&heap->lookup, (uintptr_t)address & ~(uintptr_t)(HEAP_SLAB_BYTES - 1));
}

static int free_object(struct slab_heap *heap, void *object)
{
	struct record *record = find(heap, object);

	if (!record || (!record->cache && record->start != object))
		return -SLAB_NO_OBJECT;
	if (!record->cache)
		return free_large(heap, (struct large *)record);
	return cache__release(record->cache, record, object);
}

/* The bytes that the user of an object may write to; 0 if no allocated object is there. */
static size_t size_of(struct slab_heap *heap, const void *object)
{
	const struct record *record = find(heap, object);

	if (!record)
		return 0;
	if (!record->cache)
		return record->start == object ? ((const struct large *)record)->bytes : 0;
	if (slab_cache__state(record->cache, object) != SLAB_OBJECT_ALLOCATED)
		return 0;
	return record->cache->options.object_bytes;
}

/* Can an object of this size keep so many bytes? Not if they are fewer than half of it. */
static bool fits(size_t size, size_t bytes)
{
	return bytes <= size && (size <= cached_bytes[0] || bytes > size / 2);
}

void *slab_heap__alloc(struct slab_heap *heap, size_t bytes)
{
	void *object;

	if (!enter(heap))
		return NULL;
	object = alloc(heap, bytes);
	leave(heap);
	return object;
}

void *slab_heap__resize(struct slab_heap *heap, void *object, size_t bytes)
{
	void *moved = NULL;
	size_t size;

	if (!object)
		return slab_heap__alloc(heap, bytes);
	if (!enter(heap))
		return NULL;
	size = size_of(heap, object);
	if (size && fits(size, bytes))
		moved = object;
	else if (size)
		moved = alloc(heap, bytes);
	if (moved && moved != object) {
		memcpy(moved, object, size < bytes ? size : bytes);
		(void)free_object(heap, object); /* debug mode may find it damaged */
	}
	leave(heap);
	return moved;
}

int slab_heap__free(struct slab_heap *heap, void *object)
{
	int err;

	if (!object)
		return 0;
	if (!enter(heap))
		return -SLAB_INTERRUPTED;
	err = free_object(heap, object);
	leave(heap);
	return err;
}

size_t slab_heap__shrink(struct slab_heap *heap)
{
	size_t bytes = 0;

	if (!enter(heap))
		return 0;
	for (unsigned int i = 0; i < SLAB_HEAP_CACHES; i++)
		bytes += slab_cache__shrink(&heap->caches[i]);
	leave(heap);
	return bytes;
}

void slab_heap__destroy(struct slab_heap *heap)
{
	struct source source;

	if (!heap)
		return;
	for (size_t i = 0; i < heap->lookup.capacity; i++) {
		const struct large *large = (const struct large *)heap->lookup.entries[i].record;

		if (heap->lookup.entries[i].address && !large->record.cache)
			(void)source__put(&heap->source, large->record.start, large->bytes);
	}
	for (unsigned int i = 0; i < SLAB_HEAP_CACHES; i++)
		cache__close(&heap->caches[i]);
	lookup__free(&heap->lookup);
	source = heap->source;
	(void)source__put(&source, heap, round_up(sizeof(*heap), PAGE_BYTES));
}

struct slab_cache *slab_heap__cache(struct slab_heap *heap, unsigned int number)
{
	return number < SLAB_HEAP_CACHES ? &heap->caches[number] : NULL;
}

void slab_heap__stats(const struct slab_heap *heap, struct slab_heap_stats *ret_stats)
{
	struct slab_heap_stats stats = {
		.large = heap->large,
		.large_bytes = heap->large_bytes,
		.bytes = heap->source.bytes,
		.failed = heap->failed,
	};

	for (unsigned int i = 0; i < SLAB_HEAP_CACHES; i++) {
		struct slab_stats cache;

		slab_cache__stats(&heap->caches[i], &cache);
		stats.allocated += cache.allocated; /* with the records of larger ones */
		stats.bytes += cache.bytes;
	}
	*ret_stats = stats;
}
