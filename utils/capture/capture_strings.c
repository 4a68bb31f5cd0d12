/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See capture_strings.h.
 */
#include "capture/capture_strings.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

enum { LATE_ROOM = 2 * PATH_MAX }; /* for capture_strings__add_late */

int capture_strings__open(struct capture *c, size_t bytes)
{
	c->strings_room = bytes + LATE_ROOM;
	c->strings = arena__take(c->arena, c->strings_room);
	if (!c->strings)
		return -ENOMEM;
	c->image->strings = c->strings;
	c->image->string_bytes = 1; /* the empty one */
	return 0;
}

uint32_t capture_strings__add(struct capture *c, const char *text, size_t length)
{
	struct image *image = c->image;
	size_t at = image->string_bytes;

	if (length == 0 || at + length + 1 + LATE_ROOM > c->strings_room)
		return 0;
	memcpy(c->strings + at, text, length);
	c->strings[at + length] = '\0';
	image->string_bytes += length + 1;
	return (uint32_t)at;
}

uint32_t capture_strings__add_late(struct image *image, const char *text)
{
	size_t at = image->string_bytes, bytes = strlen(text) + 1;

	memcpy((char *)image->strings + at, text, bytes); /* in the arena */
	image->string_bytes += bytes;
	return (uint32_t)at;
}
