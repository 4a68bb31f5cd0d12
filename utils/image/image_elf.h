/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The beginning of an image by libelf, for programs that may allocate memory: tracer and readckpt.
 */
#ifndef IMAGE_IMAGE_ELF_H
#define IMAGE_IMAGE_ELF_H

#include "image/image.h"

/* As image_writer__begin, and the same bytes. Returns also -ENOMEM, and -EMFILE when no file can be
 * opened: libelf writes to one, which is in memory. */
int image_elf__begin(struct image_writer *writer, struct image *image);

#endif
