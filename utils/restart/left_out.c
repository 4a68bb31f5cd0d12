/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See left_out.h. The kernel gives memory of shmget(2) and io_setup(2) the names of deleted files.
 */
#include "restart/left_out.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

#include "base/log.h"

static void add_mappings(struct missing *m, const struct image *image, const char *path,
			 const char *name)
{
	for (size_t i = 0; i < image->mapping_count; i++) {
		const struct image_mapping *mapping = &image->mappings[i];

		if ((mapping->flags & IMAGE_SHARED) && (mapping->flags & IMAGE_DELETED) &&
		    strncmp(image__string(image, mapping->path), path, strlen(path)) == 0) {
			missing__add(m, "%s", name);
			return;
		}
	}
}

static void add_held(struct missing *m, const struct image *image)
{
	uint32_t held = 0, flags = 0;

	for (size_t i = 0; i < image->file_count; i++) {
		held |= image->files[i].held;
		if (!(image->files[i].held & IMAGE_LEASED)) /* which sets O_ASYNC, too */
			flags |= image->files[i].flags;
	}
	if (held & IMAGE_LOCKED)
		missing__add(m, "file locks");
	if (held & IMAGE_LEASED)
		missing__add(m, "file leases");
	if (held & IMAGE_WATCHES_CLOSED)
		missing__add(m, "what is watched under closed numbers (epoll)");
	if (flags & O_ASYNC)
		missing__add(m, "signals of files (O_ASYNC)");
}

/* Are contents lost? Behind the end of a file that is mapped shared, there were none. */
static bool lacks_pages(const struct image *image)
{
	for (size_t i = 0; i < image->missing_count; i++) {
		struct image_stretch stretch;
		unsigned int flags;

		image__locate(image, image->missing[i].start, &stretch);
		flags = stretch.mapping ? stretch.mapping->flags : 0;
		if (!(flags & IMAGE_SHARED) || !(flags & IMAGE_FILE) || (flags & IMAGE_DELETED))
			return true;
	}
	return false;
}

void left_out__add_missing(const struct image *image, struct missing *m)
{
	static const struct {
		uint64_t bit;
		const char *text;
	} texts[] = {
		{IMAGE_MISSING_CHILDREN, "child processes"},
		{IMAGE_MISSING_PENDING, "pending signals"},
		{IMAGE_MISSING_TIMERS, "timers"},
		{IMAGE_MISSING_NAMESPACES, "namespaces of single threads"},
	};

	add_held(m, image);
	add_mappings(m, image, "/SYSV", "System V shared memory");
	add_mappings(m, image, "/[aio]", "asynchronous reads and writes (io_setup)");
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (image->info.missing & texts[i].bit)
			missing__add(m, "%s", texts[i].text);
	}
	if (lacks_pages(image))
		missing__add(m, "pages that could not be read");
	if (image->attributes.flags & IMAGE_LOST_RSEQ)
		missing__add(m, "registrations of rseq(2)");
	if (image->attributes.flags & IMAGE_LOST_SEGMENTS)
		missing__add(m, "segments of its own (modify_ldt)");
	/* Nearly every image lacks this. */
	if (image->info.missing & IMAGE_MISSING_SHARING)
		log__debug("not brought back: other processes that shared memory with it");
}
