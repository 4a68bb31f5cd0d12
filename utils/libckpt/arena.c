/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See arena.h. The heap gets its slabs from the mapping, one behind the other. Nothing is freed
 * one by one, so memory is never handed out twice, and is still as the kernel gave it: zeros.
 */
#include "libckpt/arena.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "slab/slab_heap.h"

/* The next bytes of the mapping, for a slab or a large object. */
static void *get(size_t bytes, size_t alignment, void *argument)
{
	struct arena *w = argument;
	uintptr_t start = (uintptr_t)w->base + w->used;
	size_t padding = (alignment - start % alignment) % alignment;

	if (padding > w->bytes - w->used || bytes > w->bytes - w->used - padding)
		return NULL;
	w->used += padding + bytes;
	return w->base + w->used - bytes;
}

/* All of it goes at the end. */
static int put(void *start, size_t bytes, void *argument)
{
	(void)start;
	(void)bytes;
	(void)argument;
	return 0;
}

int arena__open(struct arena *w, size_t bytes)
{
	const struct slab_memory memory = {.get = get, .put = put, .argument = w};
	void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int err;

	*w = (struct arena){0};
	if (base == MAP_FAILED)
		return -errno;
	w->base = base;
	w->bytes = bytes;
	err = slab_heap__create(&memory, 0, &w->heap);
	if (err)
		arena__close(w);
	return err;
}

void *arena__take(struct arena *w, size_t bytes)
{
	void *taken = slab_heap__alloc(w->heap, bytes);

	/* Large objects come from get() as they are. */
	if (taken && bytes <= SLAB_HEAP_MAX_CACHED)
		memset(taken, 0, bytes);
	return taken;
}

void arena__close(struct arena *w)
{
	if (w->base)
		(void)munmap(w->base, w->bytes);
	*w = (struct arena){0};
}
