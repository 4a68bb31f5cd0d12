/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The snapshot of the chunk engine as user space sees it: the chunk stores (chunk_stores.h), and a
 * flat copy of them. The copy is made when user space itself must restore or show the bytes:
 *
 *	ranges:  [0x1000,0x1800)            [0x7f00,0x8000)
 *	bytes:   |256|256|256|256|256|256|256|256|256|
 *	states:   P   P   A   E   ...                     one byte for each chunk
 */
#ifndef TRACER_ENGINE_CHUNK_SNAPSHOT_H
#define TRACER_ENGINE_CHUNK_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/types.h>
#include "tracer.h"
#include "engine/chunk_stores.h"
#include "engine/engine.h"

struct chunk_snapshot;

/* stores: borrowed. 0 and *ret_snapshot (chunk_snapshot__free), or -ENOMEM. */
int chunk_snapshot__create(struct chunk_stores *stores, struct chunk_snapshot **ret_snapshot);

/*
 * Registers the chunks of [start, end), empty. start may lie inside a chunk: only bytes from there
 * on are then ever written.
 * Returns 0; -REASON_CHUNK_LIMIT when the limit is reached; -ENOMEM. On failure the chunks from
 * *ret_done on are not registered.
 */
int chunk_snapshot__add(struct chunk_snapshot *snapshot, uint64_t start, uint64_t end,
			uint64_t *ret_done);

/* Drops the chunks of [start, end), where they are registered. 0 or -errno. */
int chunk_snapshot__drop(struct chunk_snapshot *snapshot, uint64_t start, uint64_t end);

/* Drops every chunk there is. 0 or -errno. */
int chunk_snapshot__drop_all(struct chunk_snapshot *snapshot);

/*
 * After a copy: reads into the store, or writes, the pages that BPF could not reach (pages[count],
 * from the suspects map). The target must stand still if chunk_snapshot__needs_repair() said true.
 * Adds to *result. Returns 0 (chunks that failed are counted), -ESRCH or -errno.
 */
int chunk_snapshot__repair_checkpoint(struct chunk_snapshot *snapshot, struct memory *memory,
				      const uint64_t *pages, uint64_t count,
				      struct engine_result *result);
int chunk_snapshot__repair_restore(struct chunk_snapshot *snapshot, struct memory *memory,
				   const uint64_t *pages, uint64_t count,
				   struct engine_result *result);

/* Is there a page among them that holds data or, in a restore, should? */
bool chunk_snapshot__needs_repair(struct memory *memory, const uint64_t *pages, uint64_t count);

/*
 * Writes what BPF found to differ (differences[count], of the map of that name) with
 * process_vm_writev; with a count above DIFFERENCES, writes the whole snapshot instead. The target
 * must stand still.
 * ranges: all that is tracked. Adds to *result.
 * Returns 0 (chunks that failed are counted), -ESRCH or -errno.
 */
int chunk_snapshot__restore(struct chunk_snapshot *snapshot, const struct intervals *ranges,
			    const struct difference *differences, uint64_t count,
			    struct memory *memory, struct engine_result *result);

/* Puts a chunk back that a checkpoint has replaced (of the map differences), unless it is gone, or
 * mapped anew, since then. 0 or -errno. */
int chunk_snapshot__put_back(struct chunk_snapshot *snapshot, const struct difference *before);

/* See visit in engine.h. ranges: all that is tracked. */
int chunk_snapshot__visit(struct chunk_snapshot *snapshot, const struct intervals *ranges,
			  saved_visitor *each, void *argument);

/* chunk_snapshot__free(NULL) is harmless; the stores stay. */
void chunk_snapshot__free(struct chunk_snapshot *snapshot);

#endif
