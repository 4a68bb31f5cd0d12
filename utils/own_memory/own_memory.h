/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The memory of the calling process, as it goes into an image: which of it can be read, and how.
 * Usable inside a signal handler.
 *
 * Pages are unstable that change while the image is written, though all threads stand still
 * (libckpt/save.c lists them). They are copied to a block first, so that the checksum is that of
 * the bytes that were written.
 */
#ifndef OWN_MEMORY_OWN_MEMORY_H
#define OWN_MEMORY_OWN_MEMORY_H

#include <stdbool.h>

#include "image/image.h"
#include "own_memory/arena.h"
#include "pages/pagemap.h"

enum { OWN_MEMORY_BLOCK = 1 << 18 };

struct own_memory {
	struct pagemap *pagemap; /* of this process; NULL until own_memory__open */
	unsigned char *block;    /* OWN_MEMORY_BLOCK bytes, page-aligned, for own_memory__copy */
	const struct image_run *unstable;
	size_t unstable_count;
	int pagemap_fd, mem_fd; /* -1: not open */
};

/*
 * Opens the files of /proc. memory: all of it is set. arena: has its memory, and must live as long.
 * unstable: borrowed. Returns 0, -ENOMEM or -errno; call own_memory__close in any case.
 */
int own_memory__open(struct own_memory *memory, struct arena *arena,
		     const struct image_run *unstable, size_t unstable_count);

/* Opens the files again in a forked child, whose /proc/self is another. Returns 0 or -errno. */
int own_memory__reopen(struct own_memory *memory);

void own_memory__close(struct own_memory *memory);

/* Can the page at address be read? A guard cannot. */
bool own_memory__can_read(const struct own_memory *memory, uint64_t address);

/* Where the pages of a mapping end that can be read: its start at the least, its end at most. */
uint64_t own_memory__readable_end(const struct own_memory *memory,
				  const struct image_mapping *mapping);

/* Does a mapping have unstable pages? */
bool own_memory__is_unstable(const struct own_memory *memory, const struct image_mapping *mapping);

/* Where the first pages of [start, end) end that are all stable, or all unstable. */
uint64_t own_memory__alike_end(const struct own_memory *memory, uint64_t start, uint64_t end,
			       bool *ret_unstable);

/* Copies memory to the block. bytes: at most OWN_MEMORY_BLOCK. Returns 0, or -EIO if it cannot be
 * read. */
int own_memory__copy(struct own_memory *memory, uint64_t start, size_t bytes);

#endif
