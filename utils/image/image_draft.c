/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See image_draft.h. Source: proc(5) for the names of mappings.
 */
#include "image/image_draft.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/utsname.h>

#include "base/clock.h"

enum { FIRST_ROOM = 64 };

/* Makes room for one more of size bytes. Returns whether there is. */
static bool grow(struct image_draft *draft, void **items, size_t count, size_t *room, size_t size)
{
	size_t larger = *room ? 2 * *room : FIRST_ROOM;
	void *moved;

	if (count < *room)
		return true;
	moved = reallocarray(*items, larger, size);
	if (!moved) {
		draft->err = -ENOMEM;
		return false;
	}
	*items = moved;
	*room = larger;
	return true;
}

static uint32_t add_text(struct image_draft *draft, const char *text, size_t length)
{
	const size_t at = draft->image.string_bytes;

	while (at + length + 1 > draft->string_room) {
		size_t room = draft->string_room ? 2 * draft->string_room : 4096;
		char *larger = realloc(draft->strings, room);

		if (!larger) {
			draft->err = -ENOMEM;
			return 0;
		}
		draft->image.strings = draft->strings = larger;
		draft->string_room = room;
	}
	memcpy(draft->strings + at, text, length);
	draft->strings[at + length] = '\0';
	draft->image.string_bytes = at + length + 1;
	return (uint32_t)at;
}

static uint32_t add_string(struct image_draft *draft, const char *text, size_t length)
{
	if (!draft->image.string_bytes)
		(void)add_text(draft, "", 0);
	return length && !draft->err ? add_text(draft, text, length) : 0;
}

uint32_t image_draft__string(struct image_draft *draft, const char *text)
{
	return add_string(draft, text, strlen(text));
}

static uint32_t flags_of(const struct mapping *mapping)
{
	static const struct {
		const char *name;
		uint32_t flag;
	} kinds[] = {
		{"[heap]", IMAGE_HEAP},        {"[stack]", IMAGE_STACK},
		{"[vdso]", IMAGE_VDSO},        {"[vvar]", IMAGE_VVAR},
		{"[vvar_vclock]", IMAGE_VVAR}, {"[vsyscall]", IMAGE_VSYSCALL},
	};
	uint32_t flags = (mapping->flags & MAPPING_READ ? IMAGE_READ : 0) |
			 (mapping->flags & MAPPING_WRITE ? IMAGE_WRITE : 0) |
			 (mapping->flags & MAPPING_EXEC ? IMAGE_EXEC : 0) |
			 (mapping->flags & MAPPING_SHARED ? IMAGE_SHARED : 0);

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (!strcmp(mapping->path, kinds[i].name))
			flags |= kinds[i].flag;
	}
	if (mapping->inode && mapping->path[0] == '/')
		flags |= IMAGE_FILE;
	return flags;
}

void image_draft__mapping(struct image_draft *draft, const struct mapping *mapping, uint64_t start,
			  uint64_t end)
{
	static const char deleted[] = " (deleted)";
	const size_t suffix = sizeof(deleted) - 1;
	struct image *image = &draft->image;
	size_t length = strlen(mapping->path);
	uint32_t flags = flags_of(mapping);

	if (!grow(draft, (void **)&image->mappings, image->mapping_count, &draft->mapping_room,
		  sizeof(*image->mappings)))
		return;
	if (length > suffix && !strcmp(mapping->path + length - suffix, deleted)) {
		length -= suffix;
		flags |= IMAGE_DELETED;
	}
	if (flags & IMAGE_SHARED)
		image->info.missing |= IMAGE_MISSING_SHARING;
	image->mappings[image->mapping_count++] = (struct image_mapping){
		.start = start,
		.end = end,
		.offset = mapping->inode ? mapping->offset + (start - mapping->start) : 0,
		.inode = mapping->inode,
		.dev_major = mapping->dev_major,
		.dev_minor = mapping->dev_minor,
		.flags = flags,
		.path = add_string(draft, mapping->path, length),
	};
}

void image_draft__missing(struct image_draft *draft, const struct image_mapping *mapping,
			  uint64_t start, uint64_t end)
{
	struct image *image = &draft->image;
	const size_t count = image->missing_count;

	image->info.missing |= IMAGE_MISSING_PAGES;
	if (count && image->missing[count - 1].end == start && start != mapping->start) {
		image->missing[count - 1].end = end;
		return;
	}
	if (!grow(draft, (void **)&image->missing, count, &draft->missing_room,
		  sizeof(*image->missing)))
		return;
	image->missing[count] = (struct image_run){start, end};
	image->missing_count++;
}

int image_draft__segments(struct image_draft *draft)
{
	draft->image.segments = calloc(IMAGE_SEGMENTS_MAX, sizeof(*draft->image.segments));
	return draft->image.segments ? 0 : -ENOMEM;
}

int image_draft__info(struct image_draft *draft, const char *writer)
{
	struct image_info *info = &draft->image.info;
	struct utsname name;

	if (uname(&name))
		return -errno;
	if (getrandom(&info->id, sizeof(info->id), GRND_NONBLOCK) != (ssize_t)sizeof(info->id))
		return -EAGAIN;
	info->id |= 1; /* not 0 */
	info->time_ns = clock__read_ns(CLOCK_REALTIME);
	info->version = IMAGE_VERSION;
	info->page_bytes = PAGE_BYTES;
	info->writer = image_draft__string(draft, writer);
	info->kernel = image_draft__string(draft, name.release);
	return draft->err;
}

void image_draft__clear(struct image_draft *draft)
{
	free(draft->image.mappings);
	free(draft->image.missing);
	free(draft->image.segments);
	free(draft->strings);
	*draft = (struct image_draft){0};
}
