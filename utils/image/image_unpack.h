/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Unpacking an image that is compressed with gzip.
 */
#ifndef IMAGE_IMAGE_UNPACK_H
#define IMAGE_IMAGE_UNPACK_H

#include "image/image.h"

/*
 * Replaces image->fd by a file in memory that holds what was in it, and sets file_bytes and
 * compressed.
 * memory_max: how many bytes it may take; pages of zeros take none.
 * Returns 0; or, with a message, -EBADMSG; -EFBIG above memory_max or 1 TiB; what
 * image_headers__check_elf returns; or -errno. On failure image->fd is as before.
 */
int image_unpack__replace(struct image *image, uint64_t memory_max, char *message);

#endif
