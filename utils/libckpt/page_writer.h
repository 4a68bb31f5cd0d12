/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which memory goes into an image of the calling process, and writing it. Used inside a signal
 * handler.
 */
#ifndef LIBCKPT_PAGE_WRITER_H
#define LIBCKPT_PAGE_WRITER_H

#include "image/image.h"
#include "pages/pagemap.h"
#include "libckpt/arena.h"

struct page_writer {
	struct arena *arena;
	struct pagemap *pagemap;
	unsigned char *block; /* BLOCK_BYTES bytes, for memory that cannot be written directly */
	/* Pages that change while they are written (save.c lists them): by way of block. */
	const struct image_run *moving;
	size_t moving_count;
	int mem_fd;             /* /proc/self/mem */
	uint64_t written_bytes; /* of pages that were looked at for the file */
};

enum { BLOCK_BYTES = 1 << 18 };

/*
 * Gets ready. pages: all of it is set; moving is borrowed. Returns 0, -ENOMEM or -errno; call
 * page_writer__close in any case.
 */
int page_writer__open(struct page_writer *pages, struct arena *arena,
		      const struct image_run *moving, size_t moving_count,
		      enum pagemap_tracking tracking);
void page_writer__close(struct page_writer *pages);

/* In a child, which has other files below /proc/self. Returns 0 or -errno. */
int page_writer__reopen(struct page_writer *pages);

/* Does the file hold bytes of this mapping by its own means: private, of no file? Then pages that
 * were never used are zeros. */
int page_writer__is_anonymous(const struct image_mapping *mapping);

/* Has this mapping contents that belong into an image at all? */
int page_writer__is_saved(const struct image_mapping *mapping);

/* Can the page at address be read? A guard cannot. */
int page_writer__can_read(const struct page_writer *pages, uint64_t address);

/* How many bytes of a mapping, from its start on, can be read; 0 to all. */
uint64_t page_writer__readable(const struct page_writer *pages,
			       const struct image_mapping *mapping);

/* Does it hold pages that change while they are written? */
int page_writer__is_moving(const struct page_writer *pages, const struct image_mapping *mapping);

/* Where the first part of [start, end) ends that is moving, or not, as a whole. */
uint64_t page_writer__part(const struct page_writer *pages, uint64_t start, uint64_t end,
			   int *ret_moving);

/* Copies memory to the block. bytes: at most BLOCK_BYTES. Returns 0, or -EIO if it cannot be
 * read. */
int page_writer__copy(struct page_writer *pages, uint64_t start, size_t bytes);

/* Adds a segment. Returns 0, or -EFBIG if there are too many. */
int page_writer__add_segment(struct image *image, const struct image_mapping *mapping,
			     uint64_t start, uint64_t end, int has_bytes);

/* Adds [start, end) to image->missing. Returns 0 or -EFBIG. */
int page_writer__add_missing(struct image *image, uint64_t start, uint64_t end);

/* Makes room for segments and missing runs in the image. Returns 0 or -ENOMEM. */
int page_writer__make_room(struct page_writer *pages, struct image *image);

/* Plans a full image: all that is saved of each mapping. Returns 0 or -errno. */
int page_writer__plan_full(struct page_writer *pages, struct image *image);

/* Writes all segments of an image that was begun. Returns 0, -EIO when memory that could be read
 * before cannot be read any more, or the -errno of writing. */
int page_writer__write(struct page_writer *pages, struct image_writer *writer,
		       const struct image *image);

#endif
