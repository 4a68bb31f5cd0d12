/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See segments.h.
 */
#include "own_memory/segments.h"

#include <errno.h>

#include "image/image_reason.h"
#include "image/image_segmenter.h"

enum { MISSING_MAX = IMAGE_SEGMENTS_MAX };

bool segments__is_saved(const struct image_mapping *mapping)
{
	return !(mapping->flags & (IMAGE_VVAR | IMAGE_VSYSCALL | IMAGE_ARENA));
}

bool segments__is_anonymous(const struct image_mapping *mapping)
{
	return !(mapping->flags & (IMAGE_SHARED | IMAGE_FILE | IMAGE_VDSO)) && mapping->inode == 0;
}

int segments__make_room(struct image *image, struct arena *arena)
{
	image->segments = arena__take(arena, IMAGE_SEGMENTS_MAX * sizeof(*image->segments));
	image->missing = arena__take(arena, MISSING_MAX * sizeof(*image->missing));
	return image->segments && image->missing ? 0 : -ENOMEM;
}

int segments__add_missing(struct image *image, uint64_t start, uint64_t end)
{
	if (image->missing_count == MISSING_MAX)
		return -IMAGE_MANY_MISSING;
	image->missing[image->missing_count++] = (struct image_run){start, end};
	image->info.missing |= IMAGE_MISSING_PAGES;
	return 0;
}

static int choose_anonymous(struct image *image, const struct image_mapping *mapping,
			    struct pagemap *pagemap)
{
	struct image_segmenter segmenter;
	struct pagemap_run run;
	int more;

	image_segmenter__begin(&segmenter, image, mapping);
	pagemap__begin(pagemap, mapping->start, mapping->end, 0);
	while ((more = pagemap__next(pagemap, &run)) > 0)
		image_segmenter__add(&segmenter, run.start, run.end);
	return more < 0 ? more : image_segmenter__end(&segmenter);
}

static int choose_other(struct image *image, const struct image_mapping *mapping,
			const struct own_memory *memory)
{
	uint64_t end = own_memory__readable_end(memory, mapping);
	int err;

	err = image_segmenter__put(image, mapping, mapping->start, end, true);
	if (err || end == mapping->end)
		return err;
	err = segments__add_missing(image, end, mapping->end);
	return err ? err : image_segmenter__put(image, mapping, end, mapping->end, false);
}

int segments__choose_all(struct image *image, struct own_memory *memory, struct arena *arena)
{
	int err = segments__make_room(image, arena);

	for (size_t i = 0; i < image->mapping_count && !err; i++) {
		const struct image_mapping *m = &image->mappings[i];

		if (!segments__is_saved(m))
			err = image_segmenter__put(image, m, m->start, m->end, false);
		else if (segments__is_anonymous(m))
			err = choose_anonymous(image, m, memory->pagemap);
		else
			err = choose_other(image, m, memory);
	}
	return err;
}
