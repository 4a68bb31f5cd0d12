/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An image that describes another process, in arrays that grow by malloc. For programs that may
 * call it: tracer. Always holds: a call that fails for want of memory sets err. The image is then
 * incomplete, and only good for image_draft__clear.
 */
#ifndef IMAGE_IMAGE_DRAFT_H
#define IMAGE_IMAGE_DRAFT_H

#include "base/procfs.h"
#include "image/image.h"

struct image_draft { /* zero-initialised: empty */
	struct image image;
	char *strings; /* those of the image */
	size_t mapping_room, missing_room, string_room;
	int err; /* of the first call that failed, or 0 */
};

/* Adds a string. Returns its offset; 0, the empty string, on failure. */
uint32_t image_draft__string(struct image_draft *draft, const char *text);

/* Adds [start, end) of a mapping; in address order. */
void image_draft__mapping(struct image_draft *draft, const struct mapping *mapping, uint64_t start,
			  uint64_t end);

/* Notes that [start, end) of a mapping could not be read; in address order. */
void image_draft__missing(struct image_draft *draft, const struct image_mapping *mapping,
			  uint64_t start, uint64_t end);

/* Makes room for IMAGE_SEGMENTS_MAX segments, for image_segmenter.h. Returns 0 or -ENOMEM. */
int image_draft__segments(struct image_draft *draft);

/* Fills in version, a random id, the time of now, the writer and the kernel. Returns 0 or
 * -errno. */
int image_draft__info(struct image_draft *draft, const char *writer);

/* Frees the mappings, missing runs, segments and strings, and empties it; harmless on an empty
 * one. */
void image_draft__clear(struct image_draft *draft);

#endif
