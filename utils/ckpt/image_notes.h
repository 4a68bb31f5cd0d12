/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Between the two halves of the reader of images, image_read.c and image_notes.c. Nobody else needs
 * it.
 */
#ifndef CKPT_IMAGE_NOTES_H
#define CKPT_IMAGE_NOTES_H

#include <stddef.h>

#include "ckpt/image.h"

/* Puts "PATH: TEXT" in message (IMAGE_MESSAGE_BYTES) and returns err. */
int image__fail(char *message, int err, const char *path, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/*
 * Reads the notes, bytes of them from an offset into image->notes on, and checks that all they say
 * fits together and the segments. Returns 0, or as image__open does, with a message. What it
 * allocated until then is freed by image__free_notes, also after a failure.
 */
int image__read_notes(struct image *image, size_t offset, size_t bytes, char *message);
void image__free_notes(struct image *image);

#endif
