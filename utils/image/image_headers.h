/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reading the headers of an image: the ELF header, the program headers, and the checksums at the
 * end. Everything is checked before it is used.
 */
#ifndef IMAGE_IMAGE_HEADERS_H
#define IMAGE_IMAGE_HEADERS_H

#include <elf.h>

#include "image/image.h"

/* Is it the header of a core file of ours? Returns 0, or as image__open does, with a message. */
int image_headers__check_elf(const struct image *image, const Elf64_Ehdr *header, char *message);

/*
 * Reads the headers: fills in the segments, and reads the notes into image->notes, whose checksum
 * is verified. *ret_offset, *ret_bytes: where the notes are in image->notes.
 * Returns 0, or as image__open does, with a message.
 */
int image_headers__read(struct image *image, size_t *ret_offset, size_t *ret_bytes, char *message);

#endif
