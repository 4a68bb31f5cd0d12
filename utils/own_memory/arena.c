/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See arena.h. The heap takes its slabs from the mapping, one behind the other. Nothing is freed,
 * so no memory is handed out twice, and large objects are zeros as the kernel gave them.
 */
#include "own_memory/arena.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "slab/slab_heap.h"

/* The next bytes of the mapping, for a slab or a large object. */
static void *get(size_t bytes, size_t alignment, void *argument)
{
	struct arena *arena = argument;
	uintptr_t start = (uintptr_t)arena->base + arena->used;
	size_t padding = (alignment - start % alignment) % alignment;

	if (padding > arena->bytes - arena->used || bytes > arena->bytes - arena->used - padding)
		return NULL;
	arena->used += padding + bytes;
	return arena->base + arena->used - bytes;
}

/* arena__close gives all of it back. */
static int put(void *start, size_t bytes, void *argument)
{
	(void)start;
	(void)bytes;
	(void)argument;
	return 0;
}

/* After mlockall(2) with MCL_FUTURE, all pages of memory that can be used are there at once. So it
 * cannot be used until it is unlocked. */
static void *map_unlocked(size_t bytes)
{
	void *base =
		mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		return base;
	(void)syscall(SYS_munlock, base, bytes);
	if (syscall(SYS_mprotect, base, bytes, PROT_READ | PROT_WRITE) == 0)
		return base;
	(void)munmap(base, bytes);
	return MAP_FAILED;
}

int arena__open(struct arena *arena, size_t bytes)
{
	const struct slab_memory memory = {.get = get, .put = put, .argument = arena};
	void *base = map_unlocked(bytes);
	int err;

	*arena = (struct arena){0};
	if (base == MAP_FAILED)
		return -errno;
	arena->base = base;
	arena->bytes = bytes;
	err = slab_heap__create(&memory, 0, &arena->heap);
	if (err)
		arena__close(arena);
	return err;
}

void *arena__take(struct arena *arena, size_t bytes)
{
	void *taken = slab_heap__alloc(arena->heap, bytes);

	/* A small one may have been part of the heap's own data. */
	if (taken && bytes <= SLAB_HEAP_MAX_CACHED)
		memset(taken, 0, bytes);
	return taken;
}

void arena__close(struct arena *arena)
{
	if (arena->base)
		(void)munmap(arena->base, arena->bytes);
	*arena = (struct arena){0};
}
