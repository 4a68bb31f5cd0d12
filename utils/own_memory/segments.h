/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which memory of the calling process goes into an image: the segments of a full image, and their
 * common part with those of an increment (dirty.h). Usable inside a signal handler.
 */
#ifndef OWN_MEMORY_SEGMENTS_H
#define OWN_MEMORY_SEGMENTS_H

#include <stdbool.h>

#include "image/image.h"
#include "own_memory/own_memory.h"

/* Are the contents of this mapping part of an image? Not those of the kernel's, nor our own. */
bool segments__is_saved(const struct image_mapping *mapping);

/* Is it private and of no file? Then pages that do not hold data are zeros. */
bool segments__is_anonymous(const struct image_mapping *mapping);

/* Makes room for segments and missing runs. Returns 0 or -ENOMEM. */
int segments__make_room(struct image *image, struct arena *arena);

/* Notes that [start, end) cannot be read. Returns 0 or -IMAGE_MANY_MISSING. */
int segments__add_missing(struct image *image, uint64_t start, uint64_t end);

/* Fills in the segments of a full image: all that is saved of each mapping. Returns 0;
 * -IMAGE_MANY_SEGMENTS; -IMAGE_MANY_MISSING; or -errno. */
int segments__choose_all(struct image *image, struct own_memory *memory, struct arena *arena);

#endif
