/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A source of memory for tests of slab caches and heaps. It counts, it can run dry, and it can
 * refuse to take memory back. The memory is not zero, and not the same each time.
 */
#ifndef UNIT_COUNTED_H
#define UNIT_COUNTED_H

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "slab/slab.h"

struct counted {
	size_t gets, puts, bytes; /* until now; bytes: that are given out */
	size_t limit_bytes;       /* there is no more than that; 0: no limit */
	bool dry, refuse_puts;    /* just now */
};

static inline void *counted__get(size_t bytes, size_t alignment, void *argument)
{
	struct counted *counted = argument;
	void *start = NULL;

	if (counted->dry || (counted->limit_bytes && counted->bytes + bytes > counted->limit_bytes))
		return NULL;
	if (posix_memalign(&start, alignment, bytes) != 0)
		return NULL;
	memset(start, 1 + (int)(counted->gets * 23 % 255), bytes);
	counted->gets++;
	counted->bytes += bytes;
	return start;
}

static inline int counted__put(void *start, size_t bytes, void *argument)
{
	struct counted *counted = argument;

	if (counted->refuse_puts)
		return -ENOMEM;
	free(start);
	counted->puts++;
	counted->bytes -= bytes;
	return 0;
}

/* The source for the options of a cache, or for a heap. counted is borrowed. */
static inline struct slab_memory counted__memory(struct counted *counted)
{
	return (struct slab_memory){counted__get, counted__put, counted};
}

/* Makes a cache of such objects in the smallest slabs. */
static inline struct slab_options counted__options(struct counted *counted, size_t object_bytes)
{
	return (struct slab_options){
		.object_bytes = object_bytes,
		.slab_bytes = SLAB_MIN_BYTES,
		.memory = counted__memory(counted),
	};
}

#endif
