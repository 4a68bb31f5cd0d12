/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The chunk stores from user space. Entries are written one by one. They are read as a stream,
 * which the kernel side's program of that name writes (bpf/chunk.bpf.h), or in batches where the
 * kernel forbids that program.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/procfs.h"
#include "engine/chunk_stores.h"
#include "kernel/inner_map.h"
#include "target/reason.h"

enum {
	STREAM_BYTES = 64 * 1024, /* the kernel hands over half of that at a time */
	BATCH_CHUNKS = 1024,
};

struct batch {
	uint64_t keys[BATCH_CHUNKS];
	struct chunk chunks[BATCH_CHUNKS];
};

#define BUFFER_BYTES                                                                               \
	(sizeof(struct batch) > STREAM_BYTES ? sizeof(struct batch) : (size_t)STREAM_BYTES)

struct chunk_stores {
	struct state *state;
	uint8_t *buffer; /* BUFFER_BYTES */
	uint64_t places, limit;
	int fds[CHUNK_STORES];     /* the first is borrowed */
	int streams[CHUNK_STORES]; /* links of the program to each, -1 without it */
	uint32_t count;
	uint32_t roomy; /* those before it are full, as far as we know */
	int outer_fd, stream_fd;
};

/* Returns 0 and *ret_stream, -1 where the kernel forbids the program; or -errno. */
static int open_stream(const struct chunk_stores *stores, int fd, int *ret_stream)
{
	union bpf_iter_link_info info = {.map.map_fd = (uint32_t)fd};
	/* cppcheck-suppress unknownMacro */
	LIBBPF_OPTS(bpf_link_create_opts, options, .iter_info = &info,
		    .iter_info_len = sizeof(info));
	int stream = -1;

	if (stores->stream_fd >= 0) {
		stream = bpf_link_create(stores->stream_fd, 0, BPF_TRACE_ITER, &options);
		if (stream < 0)
			return stream;
	}
	*ret_stream = stream;
	return 0;
}

static void close_stream(int stream)
{
	if (stream >= 0)
		close(stream);
}

int chunk_stores__open(int outer_fd, int first_fd, int stream_fd, uint64_t first_entries,
		       uint64_t limit, struct state *state, struct chunk_stores **ret_stores)
{
	struct chunk_stores *stores = calloc(1, sizeof(*stores));
	int err;

	if (!stores)
		return -ENOMEM;
	stores->state = state;
	stores->outer_fd = outer_fd;
	stores->stream_fd = stream_fd;
	stores->places = first_entries;
	stores->limit = limit;
	stores->buffer = malloc(BUFFER_BYTES);
	stores->fds[0] = first_fd;
	err = stores->buffer ? open_stream(stores, first_fd, &stores->streams[0]) : -ENOMEM;
	if (err) {
		chunk_stores__free(stores);
		return err;
	}
	stores->count = 1;
	state->stores = 1;
	*ret_stores = stores;
	return 0;
}

/* Adds a store for at least count more chunks, as far as the limit allows. */
static int grow(struct chunk_stores *stores, uint64_t count)
{
	uint64_t places = stores->places > count ? stores->places : count;
	int fd, stream = -1, err;

	if (stores->places >= stores->limit || stores->count == CHUNK_STORES)
		return -REASON_CHUNK_LIMIT;
	if (places > stores->limit - stores->places || stores->count == CHUNK_STORES - 1)
		places = stores->limit - stores->places;
	fd = inner_map__create_like(stores->fds[0], (uint32_t)places);
	if (fd < 0)
		return fd;
	err = open_stream(stores, fd, &stream);
	if (!err && bpf_map_update_elem(stores->outer_fd, &stores->count, &fd, BPF_ANY))
		err = -errno;
	if (err) {
		close(fd);
		close_stream(stream);
		return err;
	}
	stores->streams[stores->count] = stream;
	stores->fds[stores->count++] = fd;
	stores->places += places;
	__atomic_store_n(&stores->state->stores, stores->count, __ATOMIC_RELEASE);
	return 0;
}

int chunk_stores__make_room(struct chunk_stores *stores, uint64_t total)
{
	int err = 0;

	stores->roomy = 0; /* hooks may have dropped chunks anywhere */
	if (total > stores->places)
		err = grow(stores, total - stores->places);
	return !err && total > stores->places ? -REASON_CHUNK_LIMIT : err;
}

int chunk_stores__put(struct chunk_stores *stores, uint64_t address, const struct chunk *chunk)
{
	int err;

	for (uint32_t i = 0; i < stores->count && stores->count > 1; i++)
		if (!bpf_map_update_elem(stores->fds[i], &address, chunk, BPF_EXIST))
			return 0;
	for (uint32_t i = 0;; i++) {
		if (i == stores->count) {
			err = grow(stores, 1);
			if (err)
				return err;
		}
		if (!bpf_map_update_elem(stores->fds[i], &address, chunk, BPF_ANY))
			return 0;
		if (errno != E2BIG)
			return -errno;
	}
}

int chunk_stores__add(struct chunk_stores *stores, uint64_t address, const struct chunk *chunk)
{
	int err;

	for (;; stores->roomy++) {
		if (stores->roomy >= stores->count) {
			err = grow(stores, 1);
			if (err)
				return err;
		}
		if (!bpf_map_update_elem(stores->fds[stores->roomy], &address, chunk, BPF_ANY))
			return 0;
		if (errno != E2BIG)
			return -errno;
	}
}

int chunk_stores__remove(struct chunk_stores *stores, uint64_t address)
{
	for (uint32_t i = 0; i < stores->count; i++) {
		if (!bpf_map_delete_elem(stores->fds[i], &address)) {
			if (i < stores->roomy)
				stores->roomy = i;
			return 0;
		}
		if (errno != ENOENT)
			return -errno;
	}
	return -ENOENT;
}

int chunk_stores__clear(struct chunk_stores *stores)
{
	uint64_t key;

	stores->roomy = 0;
	for (uint32_t i = 0; i < stores->count; i++) {
		while (!bpf_map_get_next_key(stores->fds[i], NULL, &key))
			if (bpf_map_delete_elem(stores->fds[i], &key) && errno != ENOENT)
				return -errno;
		if (errno != ENOENT)
			return -errno;
	}
	return 0;
}

int chunk_stores__get(const struct chunk_stores *stores, uint64_t address, struct chunk *ret_chunk)
{
	for (uint32_t i = 0; i < stores->count; i++) {
		if (!bpf_map_lookup_elem(stores->fds[i], &address, ret_chunk))
			return 0;
		if (errno != ENOENT)
			return -errno;
	}
	return -ENOENT;
}

/* Hands the whole records of the buffer over; returns the number of bytes they took. */
static size_t read_records(const uint8_t *buffer, size_t length, chunk_visitor *each,
			   void *argument)
{
	size_t at = 0;

	while (length - at >= sizeof(uint64_t)) {
		const uint8_t *bytes = NULL;
		uint64_t header;
		size_t size = sizeof(header);

		memcpy(&header, buffer + at, sizeof(header));
		if ((header & CHUNK_MASK) == CHUNK_PRESENT) {
			bytes = buffer + at + size;
			size = sizeof(struct stream_record);
		}
		if (length - at < size)
			break;
		each(header & ~(uint64_t)CHUNK_MASK, header & CHUNK_MASK, bytes, argument);
		at += size;
	}
	return at;
}

static int read_stream(const struct chunk_stores *stores, int stream, chunk_visitor *each,
		       void *argument)
{
	int fd = bpf_iter_create(stream), err = 0;
	size_t have = 0;
	ssize_t got;

	if (fd < 0)
		return fd;
	while ((got = read(fd, stores->buffer + have, STREAM_BYTES - have)) > 0) {
		size_t used;

		have += (size_t)got;
		used = read_records(stores->buffer, have, each, argument);
		have -= used;
		memmove(stores->buffer, stores->buffer + used, have);
	}
	if (got < 0)
		err = -errno;
	else if (have)
		err = -REASON_CHUNKS_CUT_OFF;
	close(fd);
	return err;
}

/* bpf(2), BPF_MAP_LOOKUP_BATCH: ENOENT ends the last batch, which may have chunks. */
static int read_batches(const struct chunk_stores *stores, int store, chunk_visitor *each,
			void *argument)
{
	struct batch *batch = (struct batch *)stores->buffer;
	uint32_t bucket, count;
	bool more = true;

	for (void *from = NULL; more; from = &bucket) {
		count = BATCH_CHUNKS;
		if (bpf_map_lookup_batch(store, from, &bucket, batch->keys, batch->chunks, &count,
					 NULL)) {
			if (errno != ENOENT)
				return -errno;
			more = false;
		}
		for (uint32_t i = 0; i < count; i++) {
			const struct chunk *chunk = &batch->chunks[i];

			each(batch->keys[i], chunk->state,
			     chunk->state == CHUNK_PRESENT ? chunk->bytes : NULL, argument);
		}
	}
	return 0;
}

int chunk_stores__for_each(struct chunk_stores *stores, chunk_visitor *each, void *argument)
{
	for (uint32_t i = 0; i < stores->count; i++) {
		int err = stores->streams[i] >= 0
				  ? read_stream(stores, stores->streams[i], each, argument)
				  : read_batches(stores, stores->fds[i], each, argument);

		if (err)
			return err;
	}
	return 0;
}

uint64_t chunk_stores__places(const struct chunk_stores *stores)
{
	return stores->places;
}

uint64_t chunk_stores__limit(const struct chunk_stores *stores)
{
	return stores->limit;
}

uint64_t chunk_stores__memory(const struct chunk_stores *stores)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < stores->count; i++)
		bytes += procfs__map_memory(stores->fds[i]);
	return bytes;
}

void chunk_stores__free(struct chunk_stores *stores)
{
	if (!stores)
		return;
	for (uint32_t i = 0; i < stores->count; i++) {
		close_stream(stores->streams[i]);
		if (i)
			close(stores->fds[i]);
	}
	free(stores->buffer);
	free(stores);
}
