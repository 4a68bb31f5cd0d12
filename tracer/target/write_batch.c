/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See write_batch.h. Room is kept from one write to the next, for pieces come in thousands.
 */
#include <errno.h>
#include <stdlib.h>
#include "target/write_batch.h"

enum { FIRST_ROOM = 64 };

static int grow(struct write_batch *batch)
{
	size_t room = batch->room ? 2 * batch->room : FIRST_ROOM;
	struct iovec *larger = reallocarray(batch->local, room, sizeof(*larger));

	if (!larger)
		return -ENOMEM;
	batch->local = larger;
	larger = reallocarray(batch->remote, room, sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	batch->remote = larger;
	batch->room = room;
	return 0;
}

/* Does start continue the piece? */
static bool continues(const struct iovec *last, const void *start)
{
	return (const char *)last->iov_base + last->iov_len == (const char *)start;
}

int write_batch__add(struct write_batch *batch, uint8_t *bytes, uint64_t address, size_t length)
{
	void *there = (void *)(uintptr_t)address;
	size_t last = batch->count - 1;

	if (batch->count && continues(&batch->local[last], bytes) &&
	    continues(&batch->remote[last], there)) {
		batch->local[last].iov_len += length;
		batch->remote[last].iov_len += length;
		return 0;
	}
	if (batch->count == batch->room && grow(batch))
		return -ENOMEM;
	batch->local[batch->count] = (struct iovec){bytes, length};
	batch->remote[batch->count] = (struct iovec){there, length};
	batch->count++;
	return 0;
}

/* The piece that has the byte at address; batch->count: none has. */
static size_t find(const struct write_batch *batch, uint64_t address)
{
	size_t i = 0;

	while (i < batch->count &&
	       address - (uintptr_t)batch->remote[i].iov_base >= batch->remote[i].iov_len)
		i++;
	return i;
}

int write_batch__leave_out(struct write_batch *batch, uint64_t address, size_t length)
{
	const size_t i = find(batch, address);
	size_t before, behind;
	uint8_t *bytes;

	if (i == batch->count)
		return 0;
	bytes = batch->local[i].iov_base;
	before = address - (uintptr_t)batch->remote[i].iov_base;
	behind = batch->local[i].iov_len - before - length;
	batch->local[i].iov_len = batch->remote[i].iov_len = before;
	if (!before) {
		batch->count--;
		batch->local[i] = batch->local[batch->count];
		batch->remote[i] = batch->remote[batch->count];
	}
	return behind ? write_batch__add(batch, bytes + before + length, address + length, behind)
		      : 0;
}

int write_batch__write(struct write_batch *batch, struct memory *memory, uint64_t *ret_bytes,
		       uint64_t *ret_forced, uint64_t *ret_failed)
{
	size_t count = batch->count;

	*ret_bytes = 0;
	for (size_t i = 0; i < count; i++)
		*ret_bytes += batch->local[i].iov_len;
	write_batch__forget(batch);
	return memory__write_pieces(memory, batch->local, batch->remote, count, ret_forced,
				    ret_failed);
}

void write_batch__forget(struct write_batch *batch)
{
	batch->count = 0;
}

void write_batch__clear(struct write_batch *batch)
{
	free(batch->local);
	free(batch->remote);
	*batch = (struct write_batch){0};
}
