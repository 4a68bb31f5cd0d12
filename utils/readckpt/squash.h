/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One image out of an increment and those that it adds to.
 */
#ifndef READCKPT_SQUASH_H
#define READCKPT_SQUASH_H

#include "image/image.h"

/*
 * Verifies all of chain and writes it to path, merged into one full image, which is compressed if
 * its name ends in ".gz". It keeps the id of the first image, so later increments upon that one can
 * be used with this one in its place. path may be that of the first. message: IMAGE_MESSAGE_BYTES.
 * Returns 0; or, with a message, -EBADMSG if a checksum is wrong; -IMAGE_MANY_SEGMENTS; -EFBIG if
 * more than 1 TiB is to be compressed; -ENOMEM; the -errno of reading or of image_writer. On
 * failure path is as it was.
 */
int squash__write(const struct image_chain *chain, const char *path, char *message);

#endif
