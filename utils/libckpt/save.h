/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Writing the image of the calling process, whose threads stand still. Usable inside a signal
 * handler.
 *
 *	one process   save__describe, save__choose_pages, save__open, save__write, save__close
 *	with a child  save__describe, save__open, fork
 *	    child     save__reopen, save__choose_pages unless that was before, save__write
 *	    parent    save__release, save__close
 */
#ifndef LIBCKPT_SAVE_H
#define LIBCKPT_SAVE_H

#include "image/image.h"
#include "own_memory/arena.h"
#include "capture/capture.h"
#include "libckpt/dirty.h"
#include "libckpt/history.h"
#include "own_memory/own_memory.h"
#include "own_memory/shared_copy.h"

/* What is to be written. All pointers are borrowed until save__close. */
struct save_request {
	const char *path;
	struct stopped_thread *threads; /* all, the leader first */
	struct image_restart *restart;  /* for image_process.restart */
	struct image_run variables;     /* those of the library */
	struct history *history;        /* is told which file is written */
	struct dirty *dirty;            /* NULL: increments are not wanted */
	const char *parent;             /* of an increment; NULL: a full image */
	uint64_t parent_id;
	uint64_t missing; /* by capture__missing */
	uint32_t depth;   /* 0 for a full image */
};

/* One image. The fields below the line are the caller's to read. */
struct saving {
	struct arena arena;
	struct own_memory memory;
	struct shared_copy shared;
	const struct save_request *request;
	struct image_writer *writer;
	/* ---- */
	struct image *image;
	uint64_t written_bytes;       /* of pages that hold data */
	struct image_failure failure; /* why a call failed */
	bool failure_names_path;      /* is the path the object of the step? "cannot create PATH" */
};

/* Describes the process, all but its pages, while it stands still. saving: all of it is set.
 * Returns 0, -IMAGE_APART (image_reason.h) or -errno; call save__close in any case. */
int save__describe(struct saving *saving, const struct save_request *request);

/* Finds the pages that go into the image. Returns 0, -IMAGE_... (image_reason.h) or -errno. */
int save__choose_pages(struct saving *saving);

/* Copies shared memory, before a child is made that shall write it as it is now. Returns 0 or
 * -errno. */
int save__copy_shared(struct saving *saving);

/* Makes the file, and tells the history which it is. Returns 0, or -errno without a file; after a
 * success call one of save__write, save__release and save__abort. */
int save__open(struct saving *saving);

/* Opens the files of /proc again, in a child of the process that was described. Returns 0 or
 * -errno. */
int save__reopen(struct saving *saving);

/* Leaves the file to a child, which writes it. */
void save__release(struct saving *saving);

/* Removes the file. */
void save__abort(struct saving *saving);

/* Writes the image and puts it at the path. Returns 0, or as image_writer__commit; on failure what
 * was at the path is untouched, as there. */
int save__write(struct saving *saving);

/* Frees what it holds, the image included, and closes the files of /proc. */
void save__close(struct saving *saving);

#endif
