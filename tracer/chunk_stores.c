/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The chunk stores from user space. Entries are written one by one and read in batches.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/procfs.h"
#include "chunk_stores.h"

enum { BATCH = 1024 };

struct chunk_stores {
	struct state *state;
	uint64_t *keys;	      /* BATCH */
	struct chunk *values; /* BATCH */
	uint64_t places, limit;
	int fds[CHUNK_STORES]; /* the first is borrowed */
	uint32_t count;
	int outer_fd;
};

int chunk_stores__open(int outer_fd, int first_fd, uint64_t first_entries, uint64_t limit,
		       struct state *state, struct chunk_stores **ret_stores)
{
	struct chunk_stores *stores = calloc(1, sizeof(*stores));

	if (!stores)
		return -ENOMEM;
	stores->keys = calloc(BATCH, sizeof(*stores->keys));
	stores->values = calloc(BATCH, sizeof(*stores->values));
	if (!stores->keys || !stores->values) {
		chunk_stores__free(stores);
		return -ENOMEM;
	}
	stores->state = state;
	stores->outer_fd = outer_fd;
	stores->fds[0] = first_fd;
	stores->count = 1;
	stores->places = first_entries;
	stores->limit = limit;
	state->stores = 1;
	*ret_stores = stores;
	return 0;
}

int chunk_stores__grow(struct chunk_stores *stores, uint64_t count)
{
	uint64_t places = stores->places > count ? stores->places : count;
	int fd, err = 0;

	if (stores->places >= stores->limit || stores->count == CHUNK_STORES)
		return -E2BIG;
	if (places > stores->limit - stores->places || stores->count == CHUNK_STORES - 1)
		places = stores->limit - stores->places;
	fd = bpf_map_create(BPF_MAP_TYPE_HASH, "chunks", sizeof(uint64_t), sizeof(struct chunk),
			    (uint32_t)places, NULL);
	if (fd < 0)
		return fd;
	if (bpf_map_update_elem(stores->outer_fd, &stores->count, &fd, BPF_ANY))
		err = -errno;
	if (err) {
		close(fd);
		return err;
	}
	stores->fds[stores->count++] = fd;
	stores->places += places;
	__atomic_store_n(&stores->state->stores, stores->count, __ATOMIC_RELEASE);
	return 0;
}

int chunk_stores__put(struct chunk_stores *stores, uint64_t address, const struct chunk *chunk)
{
	int err;

	for (uint32_t i = 0; i < stores->count && stores->count > 1; i++)
		if (!bpf_map_update_elem(stores->fds[i], &address, chunk, BPF_EXIST))
			return 0;
	for (uint32_t i = 0;; i++) {
		if (i == stores->count) {
			err = chunk_stores__grow(stores, 1);
			if (err)
				return err;
		}
		if (!bpf_map_update_elem(stores->fds[i], &address, chunk, BPF_ANY))
			return 0;
		if (errno != E2BIG)
			return -errno;
	}
}

int chunk_stores__remove(struct chunk_stores *stores, uint64_t address)
{
	for (uint32_t i = 0; i < stores->count; i++) {
		if (!bpf_map_delete_elem(stores->fds[i], &address))
			return 0;
		if (errno != ENOENT)
			return -errno;
	}
	return -ENOENT;
}

int chunk_stores__clear(struct chunk_stores *stores)
{
	uint64_t key;

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

int chunk_stores__for_each(struct chunk_stores *stores,
			   void (*each)(uint64_t address, const struct chunk *chunk, void *argument),
			   void *argument)
{
	for (uint32_t i = 0; i < stores->count; i++) {
		uint32_t position, next, count;
		void *from = NULL;
		int err;

		do {
			count = BATCH;
			err = bpf_map_lookup_batch(stores->fds[i], from, &next, stores->keys,
						   stores->values, &count, NULL);
			if (err && err != -ENOENT)
				return err;
			for (uint32_t k = 0; k < count; k++)
				each(stores->keys[k], &stores->values[k], argument);
			position = next;
			from = &position;
		} while (!err);
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
	for (uint32_t i = 1; i < stores->count; i++)
		close(stores->fds[i]);
	free(stores->keys);
	free(stores->values);
	free(stores);
}
