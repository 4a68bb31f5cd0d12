/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Memory for the time of one image: a heap of slabs in one mapping, which is given back as a whole.
 * As one range of addresses it can be left out of the image. Usable inside a signal handler, where
 * malloc may be locked by the thread that was interrupted.
 */
#ifndef OWN_MEMORY_ARENA_H
#define OWN_MEMORY_ARENA_H

#include <stddef.h>

struct slab_heap;

struct arena {
	unsigned char *base; /* page-aligned; NULL: none */
	size_t bytes, used;  /* used: by the slabs of the heap */
	struct slab_heap *heap;
};

/* Reserves bytes of address space; memory is taken as it is used. arena must not be moved until
 * arena__close. Returns 0 or -errno; *arena is then empty. */
int arena__open(struct arena *arena, size_t bytes);

/* bytes of zeros, aligned to 16, which live until arena__close; NULL if there is no more. */
void *arena__take(struct arena *arena, size_t bytes);

/* Gives all of it back; harmless on an empty one. */
void arena__close(struct arena *arena);

#endif
