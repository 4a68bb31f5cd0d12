/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The name of a mapped file in /proc/PID/maps: its path, in which the kernel writes a newline as
 * \012. Without the C library.
 */
#ifndef BASE_MAPS_NAME_H
#define BASE_MAPS_NAME_H

#include <stdbool.h>
#include <stddef.h>

static inline bool maps_name__begins_newline(const char *text)
{
	return text[0] == '\\' && text[1] == '0' && text[2] == '1' && text[3] == '2';
}

/* Writes the path. text: the name; it ends with the line or the text. Returns true; false if path
 * has no room for it, and then its content is undefined. */
static inline bool maps_name__decode(const char *text, char *path, size_t bytes)
{
	size_t length = 0;

	for (const char *c = text; *c && *c != '\n' && length < bytes; c++) {
		path[length] = *c;
		if (maps_name__begins_newline(c)) {
			path[length] = '\n';
			c += 3;
		}
		length++;
	}
	if (length == bytes)
		return false;
	path[length] = '\0';
	return true;
}

#endif
