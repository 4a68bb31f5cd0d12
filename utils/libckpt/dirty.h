/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which pages have changed since the last image, for CKPT_INCREMENTAL. For private anonymous memory
 * write tracking answers (pages/write_tracking.h), if the kernel has it. For everything else a
 * checksum of each page is kept and compared. Usable inside a signal handler.
 */
#ifndef LIBCKPT_DIRTY_H
#define LIBCKPT_DIRTY_H

#include <stdbool.h>
#include <sys/types.h>

#include "image/image.h"
#include "own_memory/own_memory.h"
#include "libckpt/page_sums.h"
#include "pages/write_tracking.h"

struct dirty {
	struct write_tracking tracking;
	pid_t owner;           /* the process that is tracked; 0: none */
	bool has_watched;      /* ever */
	struct page_sums old;  /* of the last image */
	struct page_sums next; /* of the image that is being written */
};

/* Starts write tracking, at the first call in a process. A forked child is another process: its
 * parent's userfaultfd does not watch its memory. */
void dirty__open(struct dirty *dirty);

/* Ends write tracking until the next image. The kernel merges no mapping that is watched with one
 * that is not, so some calls of the program fail meanwhile. Returns whether any was watched. */
bool dirty__stop_watching(struct dirty *dirty);

/* Was write tracking ever started, in this process or in those that it was forked from or brought
 * back from? */
bool dirty__has_watched(const struct dirty *dirty);

/* Forgets everything, in a process that was brought back: its kernel knows nothing of it. */
void dirty__forget(struct dirty *dirty);

/* Makes room for the checksums of the image that is being written. Returns 0 or -ENOMEM. */
int dirty__begin(struct dirty *dirty, const struct image *image);

/* Computes all checksums, for a full image. Returns 0 or -errno. */
int dirty__note_sums(struct dirty *dirty, struct own_memory *memory, const struct image *image);

/*
 * Fills in an increment: segments for what has changed since the last image, runs of unchanged
 * pages for the rest. Returns 0; -IMAGE_MANY_SEGMENTS; -IMAGE_MANY_UNCHANGED; -IMAGE_MANY_MISSING;
 * or -errno.
 */
int dirty__choose(struct dirty *dirty, struct own_memory *memory, struct image *image,
		  struct arena *arena);

/* Did dirty__choose return err because the changes are too scattered? A full image may do then. */
bool dirty__is_scattered(int err);

/* The image is written: from now on, writes count as changes to it. */
void dirty__commit(struct dirty *dirty, const struct own_memory *memory, const struct image *image);
/* The image is not written: the next one is compared with the last that was. */
void dirty__abort(struct dirty *dirty);

/* Lists the memory that it has mapped itself, at most two ranges. Returns their number. */
size_t dirty__own(const struct dirty *dirty, struct image_run own[2]);

#endif
