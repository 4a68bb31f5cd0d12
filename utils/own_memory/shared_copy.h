/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A copy of the shared memory without a file, for a child that writes the image. The child has
 * private memory as it was at the fork, but shared memory goes on changing. Usable inside a signal
 * handler.
 */
#ifndef OWN_MEMORY_SHARED_COPY_H
#define OWN_MEMORY_SHARED_COPY_H

#include <stddef.h>

#include "image/image.h"
#include "own_memory/own_memory.h"

/* The mappings lie in it one after the other, as far as they are copied. All zeros: none. */
struct shared_copy {
	unsigned char *base;
	size_t bytes;
};

/* Copies what the mappings of image hold. Returns 0; or -ENOMEM or -EIO, and nothing is copied. */
int shared_copy__make(struct shared_copy *copy, struct own_memory *memory,
		      const struct image *image);

/* Where the copy of a mapping of that image begins, which is all readable, and zeros where it held
 * nothing; NULL if it has none. */
const unsigned char *shared_copy__find(const struct shared_copy *copy, const struct image *image,
				       const struct image_mapping *mapping);

/* Frees and empties it; harmless twice. */
void shared_copy__free(struct shared_copy *copy);

#endif
