/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The chunk engine from user space: bpf/chunk.bpf.h draws the stores. The hooks register chunks
 * while the target runs; the engine mirrors that from their events and does what they leave to it.
 */
#ifndef TRACER_ENGINE_CHUNK_ENGINE_H
#define TRACER_ENGINE_CHUNK_ENGINE_H

#include "engine/engine.h"
#include "kernel/hooks.h"

/* hooks, state: borrowed. ready, limit: chunks that there is room for at first, and at most.
 * 0 and *ret_engine (its close), or -errno. */
int chunk_engine__open(const struct hooks *hooks, struct state *state, uint64_t ready,
		       uint64_t limit, struct engine **ret_engine);

/* The number of chunks that ranges take. */
uint64_t chunk_engine__chunks(const struct intervals *ranges);

#endif
