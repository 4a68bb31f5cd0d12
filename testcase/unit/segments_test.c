/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of the limits of an image's memory: each has a reason of its own.
 */
#include <string.h>

#include "own_memory/segments.h"
#include "image/image_reason.h"
#include "image/image_segmenter.h"
#include "tap.h"

#define PAGE ((uint64_t)PAGE_BYTES)

static const struct image_mapping mapping = {.start = PAGE, .end = 1ULL << 40};

/* Every second page of them cannot be read. */
static void test_missing(struct image *image)
{
	int err = 0;

	for (uint64_t i = 1; i <= IMAGE_SEGMENTS_MAX && !err; i++)
		err = segments__add_missing(image, 2 * i * PAGE, (2 * i + 1) * PAGE);
	tap__ok(!err && image->info.missing & IMAGE_MISSING_PAGES, "60000 runs that are missing");
	err = segments__add_missing(image, 0, PAGE);
	tap__equal(err, -IMAGE_MANY_MISSING, "and one more");
	tap__ok(strstr(image_reason__text(err), "cannot be read") &&
			!strstr(image_reason__text(err), "segments"),
		"which is not told as a segment: %s", image_reason__text(err));
	tap__equal(image->missing_count, IMAGE_SEGMENTS_MAX, "nor added");
}

static void test_segments(struct image *image)
{
	int err = 0;

	for (uint64_t i = 1; i <= IMAGE_SEGMENTS_MAX && !err; i++)
		err = image_segmenter__put(image, &mapping, 2 * i * PAGE, (2 * i + 1) * PAGE, true);
	tap__equal(err, 0, "60000 segments");
	err = image_segmenter__put(image, &mapping, 0, PAGE, true);
	tap__equal(err, -IMAGE_MANY_SEGMENTS, "and one more");
	tap__equal_string(image_reason__text(err), "there would be more segments than 60000",
			  "is told as a segment");
	tap__equal(image_segmenter__put(image, &mapping, PAGE, PAGE, true), 0,
		   "an empty one is none");
}

int main(void)
{
	struct image image = {0};
	struct arena arena;

	tap__plan(9);
	tap__ok(!arena__open(&arena, 16 << 20) && !segments__make_room(&image, &arena), "room");
	test_missing(&image);
	test_segments(&image);
	arena__close(&arena);
	return tap__done();
}
