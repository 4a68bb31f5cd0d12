/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The headers of an image by libelf, for programs that may call malloc: tracer and readckpt.
 */
#ifndef IMAGE_IMAGE_ELF_H
#define IMAGE_IMAGE_ELF_H

#include "image/image.h"

/* As image_writer__begin, with the same bytes. Returns also -ENOMEM, and -EMFILE when no file
 * can be opened: libelf needs one. */
int image_elf__begin(struct image_writer *writer, struct image *image);

#endif
