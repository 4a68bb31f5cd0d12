/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reading the notes of an image: the state of the process.
 */
#ifndef IMAGE_IMAGE_NOTES_H
#define IMAGE_IMAGE_NOTES_H

#include "image/image.h"

/*
 * Reads the notes, bytes of them from an offset into image->notes on, and checks that they fit
 * together, and to the segments. Returns 0, or as image__open does, with a message.
 */
int image_notes__read(struct image *image, size_t offset, size_t bytes, char *message);

#endif
