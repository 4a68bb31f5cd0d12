/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What differs in the memory of a process between two instants, in chunks of 256 bytes.
 *
 *	diff__compare(A, B) --> mappings, each with its share of changed chunks in cells
 *	                       the first ranges of changed chunks, in address order
 *
 * A cell is a power of two of bytes: the smallest with which there are at most DIFF_CELLS cells.
 * Always holds: what is kept takes no more memory for a large process than for a small one.
 */
#ifndef TRACER_DIFF_DIFF_H
#define TRACER_DIFF_DIFF_H

#include "attach/attach.h"

enum {
	DIFF_CHUNK_BYTES = 256,
	DIFF_CELLS = 1 << 14,
	DIFF_RANGES = 1 << 10,
	DIFF_MAPPINGS = 1 << 12,
	DIFF_LABEL_BYTES = 256,
};

enum diff_state { DIFF_SAME, DIFF_NEW, DIFF_GONE }; /* was it mapped at both instants? */

struct diff_mapping {
	struct mapping mapping;
	char label[DIFF_LABEL_BYTES]; /* "heap", "stack of thread 23", "/usr/bin/sh", ... */
	enum diff_state state;
	uint64_t pages, bytes; /* changed; bytes of chunks */
	size_t first_cell, cells;
};

struct diff_range { /* of changed chunks */
	uint64_t start, end;
	uint64_t first, last;          /* the first byte that has changed, and the last one */
	char symbol[DIFF_LABEL_BYTES]; /* "counter+8"; "" if there is none */
};

struct diff {
	char from[ATTACH_NAME_BYTES], to[ATTACH_NAME_BYTES]; /* to: "" is now */
	uint64_t pages, bytes, stop_ns;
	uint64_t cell_bytes;
	uint32_t *changed; /* chunks in each cell */
	struct diff_mapping *mappings;
	size_t mapping_count, mappings_left_out;
	struct diff_range ranges[DIFF_RANGES];
	size_t range_count, ranges_left_out;
};

/*
 * Compares checkpoint from with checkpoint to.
 * from: NULL is the newest. to: NULL is the process as it is now, which is stopped for that.
 * Mappings that are not saved, and those without any rights that have not changed, are left out.
 * Returns 0 and *ret_diff (diff__free); -REASON_UNKNOWN_NAME; -REASON_NO_CHECKPOINT; -ENOMEM; or
 * what attach__checkpoint() returns.
 */
int diff__compare(struct attach *attach, const char *from, const char *to, struct diff **ret_diff);

/* diff__free(NULL) is harmless. */
void diff__free(struct diff *diff);

#endif
