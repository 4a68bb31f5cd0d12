/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Pieces of memory that are written into the target together. Piece i has its bytes in local[i] and
 * its address in remote[i], both of the same length:
 *
 *	local:   |saved bytes|  |zeros|  |saved ...      here
 *	remote:  |page|page|page|  |page|  |page ...     in the target
 *
 * Always holds: two pieces that follow each other on both sides are merged into one. The bytes are
 * borrowed until the pieces are written.
 */
#ifndef TRACER_TARGET_WRITE_BATCH_H
#define TRACER_TARGET_WRITE_BATCH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "target/memory.h"

struct write_batch { /* zero-initialised: empty */
	struct iovec *local, *remote;
	size_t count, room;
};

/* Adds length bytes for address. 0 or -ENOMEM (unchanged). */
int write_batch__add(struct write_batch *batch, uint8_t *bytes, uint64_t address, size_t length);

/* Leaves [address, address + length) out. It lies in one piece, or in none: then nothing is done. 0
 * or -ENOMEM (some bytes behind it may be left out, too). */
int write_batch__leave_out(struct write_batch *batch, uint64_t address, size_t length);

/* Writes all pieces and empties the batch. *ret_bytes: their length, failed ones included. The
 * other outputs and the result are those of memory__write_pieces. */
int write_batch__write(struct write_batch *batch, struct memory *memory, uint64_t *ret_bytes,
		       uint64_t *ret_forced, uint64_t *ret_failed);

/* Empties the batch; keeps its memory for the next pieces. */
void write_batch__forget(struct write_batch *batch);

/* Empties the batch and frees its memory; harmless on an empty one and twice. */
void write_batch__clear(struct write_batch *batch);

#endif
