/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Verifying all memory of an image and its parents, which takes seconds for gigabytes.
 */
#include "base/page.h"
#include "base/progress.h"
#include "image/image.h"

struct checking {
	struct progress progress;
	uint64_t done, total; /* bytes; done: of the segments before */
	uint64_t start;       /* address of the segment */
};

static void show(uint64_t address, const void *page, void *argument)
{
	struct checking *checking = argument;

	(void)page;
	progress__step(&checking->progress, "verifying the image",
		       checking->done + (address - checking->start), checking->total);
}

int image_chain__check(const struct image_chain *chain, char *message)
{
	struct checking checking = {.done = 0};
	int err = 0;

	for (size_t i = 0; i < chain->count; i++) {
		for (size_t k = 0; k < chain->images[i]->segment_count; k++)
			checking.total += chain->images[i]->segments[k].bytes;
	}
	for (size_t i = 0; i < chain->count && !err; i++) {
		const struct image *image = chain->images[i];

		for (size_t k = 0; k < image->segment_count && !err; k++) {
			checking.start = image->segments[k].start;
			err = image__scan_segment(image, k, show, &checking, message);
			checking.done += image->segments[k].bytes;
		}
	}
	progress__end(&checking.progress);
	return err;
}
