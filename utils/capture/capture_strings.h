/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An image that is being filled in with what the calling process has, and its strings. All memory
 * is of an arena. Usable inside a signal handler.
 */
#ifndef CAPTURE_CAPTURE_STRINGS_H
#define CAPTURE_CAPTURE_STRINGS_H

#include "image/image.h"
#include "own_memory/arena.h"

struct capture {
	struct image *image;
	struct arena *arena;
	char *strings; /* those of the image */
	size_t strings_room, file_room;
};

/* Makes room for strings of so many bytes. Returns 0 or -ENOMEM. */
int capture_strings__open(struct capture *capture, size_t bytes);

/* Adds a string. Returns its offset; or 0, which is the empty string, if there is no room. */
uint32_t capture_strings__add(struct capture *capture, const char *text, size_t length);

/* Adds a string (shorter than PATH_MAX) to an image that is complete but for that. There is room
 * for two. */
uint32_t capture_strings__add_late(struct image *image, const char *text);

#endif
