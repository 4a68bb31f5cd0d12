/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The chunk stores (bpf/chunk.bpf.h draws them) from user space: single chunks by address, and new
 * stores when the old ones are full. Each new one is as large as all before it together. So at most
 * half of the places are empty, and a chunk is found in a few lookups.
 */
#ifndef TRACER_ENGINE_CHUNK_STORES_H
#define TRACER_ENGINE_CHUNK_STORES_H

#include <stdint.h>
#include <linux/types.h>
#include "tracer.h"

struct chunk_stores;

/*
 * outer_fd: the map chunk_stores, first_fd: the map chunks with first_entries, stream_fd: the
 * program stream, or negative without it, all borrowed; limit: of all stores together, in chunks;
 * state: the shared state, whose field stores is set. 0 and *ret_stores (chunk_stores__free), or
 * -errno.
 */
int chunk_stores__open(int outer_fd, int first_fd, int stream_fd, uint64_t first_entries,
		       uint64_t limit, struct state *state, struct chunk_stores **ret_stores);

/*
 * Makes places for total chunks altogether, as far as the limit allows.
 * Returns 0; -REASON_CHUNK_LIMIT when the limit is below total (it is then
 * reached); -ENOMEM or another -errno.
 */
int chunk_stores__make_room(struct chunk_stores *stores, uint64_t total);

/* Puts a chunk under address, replacing an old one; makes room if it must. 0,
 * -REASON_CHUNK_LIMIT, -errno. */
int chunk_stores__put(struct chunk_stores *stores, uint64_t address, const struct chunk *chunk);

/* The same for a chunk that is known not to be there: a single system call. */
int chunk_stores__add(struct chunk_stores *stores, uint64_t address, const struct chunk *chunk);

/* Takes the chunk at address away: 0, -ENOENT or -errno. */
int chunk_stores__remove(struct chunk_stores *stores, uint64_t address);

/* Takes all away. 0 or -errno. */
int chunk_stores__clear(struct chunk_stores *stores);

/* Copies the chunk at address to *ret_chunk: 0, -ENOENT or -errno. */
int chunk_stores__get(const struct chunk_stores *stores, uint64_t address, struct chunk *ret_chunk);

/* state: enum chunk_state. bytes: CHUNK_BYTES of a present chunk, NULL otherwise. */
typedef void chunk_visitor(uint64_t address, uint8_t state, const uint8_t *bytes, void *argument);

/* Calls each for every chunk, in no order. 0, -errno or a reason. */
int chunk_stores__for_each(struct chunk_stores *stores, chunk_visitor *each, void *argument);

/* Places in all stores, and the limit for them, in chunks; kernel memory of all, in bytes. */
uint64_t chunk_stores__places(const struct chunk_stores *stores);
uint64_t chunk_stores__limit(const struct chunk_stores *stores);
uint64_t chunk_stores__memory(const struct chunk_stores *stores);

/* Frees; the maps stay as long as the BPF object. chunk_stores__free(NULL) is harmless. */
void chunk_stores__free(struct chunk_stores *stores);

#endif
