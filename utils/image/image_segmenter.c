/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See image_segmenter.h.
 */
#include "image/image_segmenter.h"

#include <errno.h>

enum { GAP_BYTES = 16 << 20 };

static void add_segment(struct image_segmenter *p, uint64_t start, uint64_t end, int has_bytes)
{
	struct image *image = p->image;

	if (start == end || p->err)
		return;
	if (image->segment_count == IMAGE_SEGMENTS_MAX) {
		p->err = -EFBIG;
		return;
	}
	image->segments[image->segment_count++] = (struct image_segment){
		.start = start,
		.end = end,
		.bytes = has_bytes ? end - start : 0,
		.flags = p->mapping->flags & (IMAGE_READ | IMAGE_WRITE | IMAGE_EXEC),
	};
}

void image_segmenter__begin(struct image_segmenter *p, struct image *image,
			    const struct image_mapping *mapping)
{
	*p = (struct image_segmenter){
		.image = image, .mapping = mapping, .start = mapping->start, .end = mapping->start};
}

void image_segmenter__add(struct image_segmenter *p, uint64_t start, uint64_t end)
{
	if (start - p->end >= GAP_BYTES) {
		add_segment(p, p->start, p->end, 1);
		add_segment(p, p->end, start, 0);
		p->start = start;
	}
	p->end = end;
}

int image_segmenter__end(struct image_segmenter *p)
{
	uint64_t end = p->mapping->end;

	if (p->end == p->start) { /* no data at all */
		add_segment(p, p->start, end, 0);
		return p->err;
	}
	if (end - p->end < GAP_BYTES)
		p->end = end;
	add_segment(p, p->start, p->end, 1);
	add_segment(p, p->end, end, 0);
	return p->err;
}
