/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Between the parts of the reader of images: image_read.c, image_notes.c, image_unpack.c and
 * image_memory.c. Nobody else needs it.
 */
#ifndef IMAGE_IMAGE_INTERNAL_H
#define IMAGE_IMAGE_INTERNAL_H

#include <elf.h>
#include <stddef.h>

#include "image/image.h"

/* Puts "PATH: TEXT" in message (IMAGE_MESSAGE_BYTES), control characters as
 * '?', and returns err. */
int image__fail(char *message, int err, const char *path, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Memory for count objects of size bytes, all zeros, that goes with the image; or NULL. */
void *image__alloc(const struct image *image, size_t count, size_t size);

/*
 * Reads the notes, bytes of them from an offset into image->notes on, and checks that all they say
 * fits together and the segments. Returns 0, or as image__open does, with a message.
 */
int image__read_notes(struct image *image, size_t offset, size_t bytes, char *message);

/* Reads all of it. Returns 0; -EBADMSG if the file ends before; or the -errno of the read. */
int image__read_at(int fd, void *buffer, size_t bytes, uint64_t offset);

/* Is it the header of a core file of ours? Returns 0, or as image__open does, with a message. */
int image__check_elf_header(const struct image *image, const Elf64_Ehdr *header, char *message);

/*
 * Replaces image->fd, a file compressed with gzip, by one in memory that holds what was in it, and
 * sets file_bytes and compressed. memory_max: how many bytes it may take; pages of zeros take none.
 * Returns 0; -EBADMSG; -EFBIG above memory_max or 1 TiB; or -errno, with a message; image->fd is as
 * before on failure.
 */
int image__unpack(struct image *image, uint64_t memory_max, char *message);

#endif
