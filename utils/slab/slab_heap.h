/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A heap of slab caches: objects of any size, each from the cache of the next larger size.
 *
 *	bytes:  1-16  17-32  33-48  ...  4097-6144  6145-8192   more
 *	        cache cache  cache       cache      cache       from the memory callback, one by one
 *
 * One table knows all slabs and all larger objects. So a pointer leads to its cache, and a foreign
 * pointer is an error. A heap keeps the rules of a cache in slab.h: signals, threads, the memory
 * callback, constant time. In debug mode the red zone begins at the end of the cache's size, not of
 * the bytes asked for; larger objects have none.
 */
#ifndef SLAB_SLAB_HEAP_H
#define SLAB_SLAB_HEAP_H

#include "slab.h"

enum {
	SLAB_HEAP_CACHES = 18,
	SLAB_HEAP_MAX_CACHED = 8192, /* bytes of the largest object in a cache */
};

struct slab_heap; /* opaque */

/*
 * Makes a heap without any slab. memory: as in slab_options; NULL for mmap and munmap. flags: enum
 * slab_flags. The caller ends *ret_heap with slab_heap__destroy.
 * Returns 0; -EINVAL for one function of memory without the other; -ENOMEM. *ret_heap is untouched
 * on failure.
 */
int slab_heap__create(const struct slab_memory *memory, uint32_t flags,
		      struct slab_heap **ret_heap);

/* Hands out at least bytes bytes, aligned to 16; their content is undefined. 0 counts as 1. NULL if
 * there is no memory, or if the caller has interrupted another call for this heap. */
void *slab_heap__alloc(struct slab_heap *heap, size_t bytes);

/*
 * Makes an object larger or smaller; its content moves if the old place has not the right size.
 * object NULL is slab_heap__alloc.
 * Returns the object's new address; the old one is then free. NULL leaves the old one as it is: no
 * memory, an object that is free or not of this heap, or an interrupted call.
 */
void *slab_heap__resize(struct slab_heap *heap, void *object, size_t bytes);

/* Takes an object back. NULL does nothing. Returns 0 or an error of slab_cache__free. A larger
 * object that was freed already is -SLAB_NO_OBJECT: nothing is left of it. If the memory callback
 * refuses one, its -errno is returned, and the object is as before. */
int slab_heap__free(struct slab_heap *heap, void *object);

/* Gives back all slabs that are empty. Returns the number of bytes. */
size_t slab_heap__shrink(struct slab_heap *heap);

/* Gives back everything, allocated objects included. NULL does nothing. */
void slab_heap__destroy(struct slab_heap *heap);

/* One of the caches, 0 to SLAB_HEAP_CACHES - 1, from the smallest on: for slab_cache__stats, _visit
 * and _check, not to alloc or free. */
struct slab_cache *slab_heap__cache(struct slab_heap *heap, unsigned int number);

struct slab_heap_stats {
	size_t allocated;   /* objects, larger ones included */
	size_t large;       /* larger objects, in no cache */
	size_t large_bytes; /* of the larger objects */
	size_t bytes;       /* all that was taken from the callback */
	uint64_t failed;    /* allocs without memory */
};

void slab_heap__stats(const struct slab_heap *heap, struct slab_heap_stats *ret_stats);

#endif
