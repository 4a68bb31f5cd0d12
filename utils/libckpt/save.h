/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Writing the image of the calling process, whose threads stand still. Used
 * inside a signal handler.
 *
 *	save__plan    in the process: describes it, and decides what goes into the image
 *	save__write   in the process, or in a child that it has forked
 *	save__close   in both
 */
#ifndef LIBCKPT_SAVE_H
#define LIBCKPT_SAVE_H

#include "libckpt/capture.h"
#include "libckpt/page_writer.h"
#include "libckpt/dirty.h"
#include "libckpt/history.h"
#include "image/image.h"
#include "libckpt/arena.h"

/* What is to be written. All pointers are borrowed until save__close. */
struct save_request {
	const char *path;
	struct stopped_thread *threads; /* all threads, the leader first */
	struct image_restart *restart;  /* for image_process.restart */
	struct image_run variables;     /* the library's own */
	struct history *history;        /* is told of the file */
	struct dirty *dirty;            /* NULL: increments are not wanted */
	const char *parent;             /* add to that image; NULL: a full one */
	uint64_t parent_id;
	uint64_t missing; /* of capture__missing */
	uint32_t depth;   /* 0 for a full one */
};

/* One image. The fields below the line are the caller's to read. */
struct saving {
	struct arena arena;
	struct page_writer pages;
	const struct save_request *request;
	struct image_writer *writer;
	/* ---- */
	struct image *image;
	const char *step;    /* what failed */
	int step_names_path; /* is the path the object of the step? "cannot create PATH" */
};

/* What is to be described while the program stands still: all but the pages. Returns 0 or -errno;
 * call save__close in any case. */
int save__describe(struct saving *saving, const struct save_request *request);

/* Finds the pages, after save__describe. Returns 0 or -errno. */
int save__plan(struct saving *saving);

/* Makes the file, and tells the history which it is. Returns 0, or -errno without a file; after a
 * success call one of save__write, save__leave and save__abort. */
int save__open(struct saving *saving);

/* In a child of the process that described: opens the files of /proc anew. Returns 0 or -errno. */
int save__reopen(struct saving *saving);

/* Lets go of the file, which a child writes. */
void save__leave(struct saving *saving);

/* Removes the file. */
void save__abort(struct saving *saving);

/* Writes the image and puts it at the path. Returns 0; or -errno, and then what was at the path is
 * untouched. */
int save__write(struct saving *saving);

void save__close(struct saving *saving);

#endif
