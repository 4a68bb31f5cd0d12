/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Pieces to write, see write_batch.h. Room is kept from one write to the next,
 * for they come in thousands.
 */
#include <errno.h>
#include <stdlib.h>
#include "target/write_batch.h"

enum { FIRST_ROOM = 64 };

static int grow(struct write_batch *pieces)
{
	size_t room = pieces->room ? 2 * pieces->room : FIRST_ROOM;
	struct iovec *larger = reallocarray(pieces->local, room, sizeof(*larger));

	if (!larger)
		return -ENOMEM;
	pieces->local = larger;
	larger = reallocarray(pieces->remote, room, sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	pieces->remote = larger;
	pieces->room = room;
	return 0;
}

/* Does what begins at start go on where the piece ends? */
static bool continues(const struct iovec *last, const void *start)
{
	return (const char *)last->iov_base + last->iov_len == (const char *)start;
}

int write_batch__add(struct write_batch *pieces, uint8_t *bytes, uint64_t address, size_t length)
{
	void *there = (void *)(uintptr_t)address;
	size_t last = pieces->count - 1;

	if (pieces->count && continues(&pieces->local[last], bytes) &&
	    continues(&pieces->remote[last], there)) {
		pieces->local[last].iov_len += length;
		pieces->remote[last].iov_len += length;
		return 0;
	}
	if (pieces->count == pieces->room && grow(pieces))
		return -ENOMEM;
	pieces->local[pieces->count] = (struct iovec){bytes, length};
	pieces->remote[pieces->count] = (struct iovec){there, length};
	pieces->count++;
	return 0;
}

int write_batch__write(struct write_batch *pieces, struct memory *memory, uint64_t *ret_bytes,
		       uint64_t *ret_forced, uint64_t *ret_failed)
{
	size_t count = pieces->count;

	*ret_bytes = 0;
	for (size_t i = 0; i < count; i++)
		*ret_bytes += pieces->local[i].iov_len;
	write_batch__forget(pieces);
	return memory__write_pieces(memory, pieces->local, pieces->remote, count, ret_forced,
				    ret_failed);
}

void write_batch__forget(struct write_batch *pieces)
{
	pieces->count = 0;
}

void write_batch__clear(struct write_batch *pieces)
{
	free(pieces->local);
	free(pieces->remote);
	*pieces = (struct write_batch){0};
}
