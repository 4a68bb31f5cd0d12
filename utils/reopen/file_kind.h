/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What kind of thing an open file of an image is: whether it can be opened by a name, and what to
 * call it.
 */
#ifndef REOPEN_FILE_KIND_H
#define REOPEN_FILE_KIND_H

#include <stdbool.h>

#include "image/image.h"

enum file_reopening {
	REOPEN_NEVER,     /* a pipe, a terminal, a deleted file: no name, or more than a name */
	REOPEN_IF_CLOSED, /* /dev/null, a namespace: what restart was given comes first */
	REOPEN_IF_THERE,  /* in /proc, whose process may be gone; with O_PATH, a FIFO or device */
	REOPEN_ALWAYS,    /* a plain file or a folder */
};

/* Is path that of a deleted file or folder? The kernel adds " (deleted)" to such a name. */
bool file_kind__is_deleted(const char *path);

enum file_reopening file_kind__reopening(const struct image *image, const struct image_file *file);

/* The name to open it by: in /proc the process may have another number now. buffer may hold it. */
const char *file_kind__find_path(const struct image *image, const struct image_file *file,
				 char buffer[PATH_MAX]);

enum { FILE_KIND_BYTES = PATH_MAX + 64 };

/* Writes "a pipe", or "pipes" for many; returns buffer. */
const char *file_kind__name(const struct image *image, const struct image_file *file, bool many,
			    char buffer[FILE_KIND_BYTES]);

#endif
