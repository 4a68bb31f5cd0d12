/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What all files that read an image use: messages, memory, and the file. Whoever uses images needs
 * only image.h.
 */
#ifndef IMAGE_IMAGE_INTERNAL_H
#define IMAGE_IMAGE_INTERNAL_H

#include <stddef.h>

#include "image/image.h"

/* Puts "PATH: TEXT" in message (IMAGE_MESSAGE_BYTES), control characters as '?', and returns
 * err. */
int image__fail(char *message, int err, const char *path, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Memory for count objects of size bytes, all zeros, that goes with the image; or NULL. */
void *image__alloc(const struct image *image, size_t count, size_t size);

/* Reads all of it. Returns 0; -IMAGE_CUT_OFF; or the -errno of the read. */
int image__read_at(int fd, void *buffer, size_t bytes, uint64_t offset);

#endif
