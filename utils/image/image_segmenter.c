/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See image_segmenter.h.
 */
#include "image/image_segmenter.h"

#include "image/image_reason.h"

enum { GAP_BYTES = 16 << 20 };

int image_segmenter__put(struct image *image, const struct image_mapping *mapping, uint64_t start,
			 uint64_t end, bool has_bytes)
{
	if (start == end)
		return 0;
	if (image->segment_count == IMAGE_SEGMENTS_MAX)
		return -IMAGE_MANY_SEGMENTS;
	image->segments[image->segment_count++] = (struct image_segment){
		.start = start,
		.end = end,
		.bytes = has_bytes ? end - start : 0,
		.flags = mapping->flags & (IMAGE_READ | IMAGE_WRITE | IMAGE_EXEC),
	};
	return 0;
}

static void put(struct image_segmenter *s, uint64_t start, uint64_t end, bool has_bytes)
{
	if (!s->err)
		s->err = image_segmenter__put(s->image, s->mapping, start, end, has_bytes);
}

void image_segmenter__begin(struct image_segmenter *s, struct image *image,
			    const struct image_mapping *mapping)
{
	*s = (struct image_segmenter){
		.image = image, .mapping = mapping, .start = mapping->start, .end = mapping->start};
}

void image_segmenter__add(struct image_segmenter *s, uint64_t start, uint64_t end)
{
	if (start - s->end >= GAP_BYTES) {
		put(s, s->start, s->end, true);
		put(s, s->end, start, false);
		s->start = start;
	}
	s->end = end;
}

int image_segmenter__end(struct image_segmenter *s)
{
	const uint64_t end = s->mapping->end;

	/* A short rest goes along with the data, if there is any. */
	if (s->end > s->start && end - s->end < GAP_BYTES)
		s->end = end;
	put(s, s->start, s->end, true);
	put(s, s->end, end, false);
	return s->err;
}
