/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What image_write.c does for image_elf.c. Whoever writes images needs only image.h.
 */
#ifndef IMAGE_IMAGE_WRITE_H
#define IMAGE_IMAGE_WRITE_H

#include <elf.h>

#include "image/image.h"

/* Begins an image as image_writer__begin does. add_headers adds the ELF header and the program
 * headers, writer->head_bytes in all; it returns 0 or -errno. */
int image_writer__begin_with(struct image_writer *writer, struct image *image,
			     int (*add_headers)(struct image_writer *writer));

/* How many program headers there are: the notes, the segments, the checksums. */
size_t image_writer__count_headers(const struct image_writer *writer);

/* What number i of them says. */
Elf64_Phdr image_writer__program_header(const struct image_writer *writer, size_t i);

/* Adds bytes to the headers and notes. bytes: NULL is zeros. Returns 0 or -errno. */
int image_writer__add(struct image_writer *writer, const void *bytes, size_t count);

#endif
