/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Cuts the mappings of an image into as few segments as can be. But zeros of 16 MiB or more take no
 * place in the file. Needs no memory.
 *
 *	mapping   |  data  .. data  ..........................  data ...|
 *	segments  | with bytes     | without bytes             | with   |
 */
#ifndef IMAGE_IMAGE_SEGMENTER_H
#define IMAGE_IMAGE_SEGMENTER_H

#include <stdbool.h>
#include <stdint.h>

#include "image/image.h"

struct image_segmenter {
	struct image *image;
	const struct image_mapping *mapping;
	uint64_t start, end; /* the segment being gathered */
	int err;
};

/* Begins a mapping. image: has room for IMAGE_SEGMENTS_MAX segments, which are added to it. Both
 * are borrowed up to image_segmenter__end. */
void image_segmenter__begin(struct image_segmenter *segmenter, struct image *image,
			    const struct image_mapping *mapping);

/* Says that pages [start, end) of it hold data. In address order. */
void image_segmenter__add(struct image_segmenter *segmenter, uint64_t start, uint64_t end);

/* Ends the mapping. Returns 0; -IMAGE_MANY_SEGMENTS above IMAGE_SEGMENTS_MAX. */
int image_segmenter__end(struct image_segmenter *segmenter);

/* Adds one segment as it is, unless it is empty. Returns the same. */
int image_segmenter__put(struct image *image, const struct image_mapping *mapping, uint64_t start,
			 uint64_t end, bool has_bytes);

#endif
