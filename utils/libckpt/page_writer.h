/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Writing the memory of the calling process to an image. Usable inside a signal handler.
 */
#ifndef LIBCKPT_PAGE_WRITER_H
#define LIBCKPT_PAGE_WRITER_H

#include "image/image.h"
#include "own_memory/own_memory.h"
#include "own_memory/shared_copy.h"

/*
 * Writes all segments of an image that was begun. shared: takes the place of the mappings that it
 * has. *ret_bytes: of the pages that hold data; set in any case. Returns 0; -EIO if memory has
 * become unreadable; or the -errno of writing. writer->failure.step says which.
 */
int page_writer__write(struct image_writer *writer, const struct image *image,
		       struct own_memory *memory, const struct shared_copy *shared,
		       uint64_t *ret_bytes);

#endif
