/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is in the memory of an image. All of it is read once, to count its pages and to verify its
 * checksums.
 */
#ifndef READCKPT_SURVEY_H
#define READCKPT_SURVEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/image.h"

/* Pages of one mapping, or of all. A page is counted once. */
struct survey_pages {
	uint64_t all;
	uint64_t resident; /* in this file, with something in them */
	uint64_t parent;   /* as in the image that this one adds to */
	uint64_t missing;  /* could not be read when the image was written */
	uint64_t zero;     /* the others */
};

enum { SURVEY_FAULTS = 23 }; /* messages that are kept; all are counted */

struct survey {
	struct survey_pages *mappings; /* one for each mapping of the first image */
	struct survey_pages total;
	bool *segment_ok;            /* one for each segment of it: its checksum is right */
	uint64_t segments, bytes;    /* that were read and found right, of all images */
	char *faults[SURVEY_FAULTS]; /* messages that name the file */
	size_t fault_count;
	bool is_broken; /* the first fault is no checksum: the image is shown without its parents */
};

/*
 * Reads all of chain.
 * broken: why the chain is not whole, which is then the first fault; or NULL.
 * Returns 0 and *ret, for survey__free; faults are no failure. -ENOMEM, and *ret is empty.
 */
int survey__make(const struct image_chain *chain, const char *broken, struct survey *ret);

/* Frees what survey__make has allocated, and empties *survey. */
void survey__free(struct survey *survey);

#endif
