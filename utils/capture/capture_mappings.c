/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See capture_mappings.h. Source: proc(5).
 */
#include "capture/capture_mappings.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/proc_text.h"

static uint32_t kind_of(const char *path, const struct image_mapping *m)
{
	if (strcmp(path, "[stack]") == 0)
		return IMAGE_STACK;
	if (strcmp(path, "[heap]") == 0)
		return IMAGE_HEAP;
	if (strcmp(path, "[vdso]") == 0)
		return IMAGE_VDSO;
	if (strncmp(path, "[vvar", 5) == 0)
		return IMAGE_VVAR;
	if (strcmp(path, "[vsyscall]") == 0)
		return IMAGE_VSYSCALL;
	return m->inode && path[0] == '/' ? IMAGE_FILE : 0;
}

/* The mappings of one file follow each other, and share one string. */
static uint32_t add_path(struct capture *c, uint32_t before, const char *text, size_t length)
{
	if (strlen(c->strings + before) == length && memcmp(c->strings + before, text, length) == 0)
		return before;
	return capture_strings__add(c, text, length);
}

/* /proc/self/maps writes a newline in a name as "\012", and these four characters themselves as
 * they are. Returns the exact name, and its length in *length; or name, if the kernel does not
 * tell. */
static const char *find_exact(const struct image_mapping *m, const char *name, size_t *length)
{
	static char exact[PATH_MAX];
	char path[PROC_TEXT_MAP_PATH];
	ssize_t n;

	if (*length < 4 || !memmem(name, *length, "\\012", 4))
		return name;
	proc_text__map_path(path, m->start, m->end);
	n = readlink(path, exact, sizeof(exact));
	if (n <= 0 || n == sizeof(exact))
		return name;
	*length = (size_t)n;
	return exact;
}

/* One line: "START-END rwxp OFFSET MAJOR:MINOR INODE      PATH". Returns the next one. */
static const char *take_mapping(struct capture *c, const char *line, uint32_t before,
				struct image_mapping *m)
{
	static const char deleted[] = " (deleted)";
	const char *p = line, *end;
	size_t length;

	m->start = proc_text__take_number(&p, 16);
	p++;
	m->end = proc_text__take_number(&p, 16);
	m->flags = (p[1] == 'r' ? IMAGE_READ : 0) | (p[2] == 'w' ? IMAGE_WRITE : 0) |
		   (p[3] == 'x' ? IMAGE_EXEC : 0) | (p[4] == 's' ? IMAGE_SHARED : 0);
	p += 6;
	m->offset = proc_text__take_number(&p, 16);
	p++;
	m->dev_major = (uint32_t)proc_text__take_number(&p, 16);
	p++;
	m->dev_minor = (uint32_t)proc_text__take_number(&p, 16);
	p++;
	m->inode = proc_text__take_number(&p, 10);
	while (*p == ' ')
		p++;
	end = strchr(p, '\n');
	length = end ? (size_t)(end - p) : strlen(p);
	line = end ? end + 1 : p + length;
	p = find_exact(m, p, &length);
	if (length > sizeof(deleted) - 1 &&
	    memcmp(p + length - (sizeof(deleted) - 1), deleted, sizeof(deleted) - 1) == 0) {
		length -= sizeof(deleted) - 1;
		m->flags |= IMAGE_DELETED;
	}
	m->path = add_path(c, before, p, length);
	m->flags |= kind_of(c->strings + m->path, m);
	return line;
}

static bool overlaps(const struct image_mapping *m, const struct image_run *run)
{
	return m->start < run->end && run->start < m->end;
}

/* Cuts a mapping in up to three: the kernel shows neighbours of the same kind as one. Returns
 * into how many. */
static size_t mark_own(struct image_mapping *items, size_t i, const struct image_run *run)
{
	struct image_mapping whole = items[i];
	size_t count = 0;

	if (whole.start < run->start) {
		items[i + count] = whole;
		items[i + count++].end = run->start;
	}
	items[i + count] = whole;
	items[i + count].flags |= IMAGE_ARENA;
	if (items[i + count].start < run->start)
		items[i + count].start = run->start;
	if (items[i + count].end > run->end)
		items[i + count].end = run->end;
	count++;
	if (whole.end > run->end) {
		items[i + count] = whole;
		items[i + count++].start = run->end;
	}
	return count;
}

int capture_mappings__add(struct capture *c, const char *text, const struct image_run *own,
			  size_t own_count)
{
	struct image *image = c->image;
	size_t lines = 0;

	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	image->mappings =
		arena__take(c->arena, (lines + 2 * own_count + 1) * sizeof(*image->mappings));
	if (!image->mappings)
		return -ENOMEM;
	while (*text) {
		size_t i = image->mapping_count, count = 1;

		memset(&image->mappings[i], 0, sizeof(image->mappings[i]));
		text = take_mapping(c, text, i ? image->mappings[i - 1].path : 0,
				    &image->mappings[i]);
		if (image->mappings[i].flags & IMAGE_SHARED)
			image->info.missing |= IMAGE_MISSING_SHARING;
		for (size_t k = 0; k < own_count; k++) {
			size_t last = i + count - 1; /* the rest of the mapping */

			if (overlaps(&image->mappings[last], &own[k]))
				count += mark_own(image->mappings, last, &own[k]) - 1;
		}
		image->mapping_count += count;
	}
	return 0;
}
