/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Pieces of memory to be written into the target in one go: piece i is the bytes from local[i] on,
 * for the address in remote[i], both of one length:
 *
 *	local:   |saved bytes|  |zeros|  |saved ...      here
 *	remote:  |page|page|page|  |page|  |page ...     in the target
 *
 * Always holds: no piece goes on where the one before it ends, here and there; they would be one.
 * The bytes are borrowed until the pieces are written.
 */
#ifndef TRACER_TARGET_WRITE_BATCH_H
#define TRACER_TARGET_WRITE_BATCH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "target/memory.h"

struct write_batch { /* zero-initialised: none */
	struct iovec *local, *remote;
	size_t count, room;
};

/* Adds length bytes for address. 0 or -ENOMEM (nothing has changed). */
int write_batch__add(struct write_batch *pieces, uint8_t *bytes, uint64_t address, size_t length);

/* Writes all, as memory__write_pieces does, and returns what it returns; then there are none.
 * *ret_bytes: their length, failed ones included. */
int write_batch__write(struct write_batch *pieces, struct memory *memory, uint64_t *ret_bytes,
		       uint64_t *ret_forced, uint64_t *ret_failed);

/* Forgets all; the room for them stays. */
void write_batch__forget(struct write_batch *pieces);

/* Forgets all, and frees the room for them; harmless on none and twice. */
void write_batch__clear(struct write_batch *pieces);

#endif
