/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The snapshot of the target: what a checkpoint has saved, and which engine keeps it. Whole pages
 * go to the slab or the page engine. Smaller ranges, such as the start of a bss inside a page, go
 * to the chunk engine. With --engine chunk it gets all but data in mappings without access:
 *
 *	wanted:   [0x1a40,0x5000)               [0x7f0000,0x9f0000)
 *	chunks:   [0x1a40,0x2000)
 *	pages:                   [0x2000,0x5000) [0x7f0000,0x9f0000)
 *
 * The hooks keep ranges true between two copies, by events. snapshot__reconcile() makes them equal
 * to the wanted parts of /proc/PID/maps. It runs before every copy for which the kernel side has
 * asked for it.
 */
#ifndef TRACER_ENGINE_SNAPSHOT_H
#define TRACER_ENGINE_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>
#include "engine/engine.h"
#include "kernel/hooks.h"
#include "target/target.h"

struct snapshot;

struct snapshot_settings {
	uint64_t slab_threshold; /* a range of so many bytes is kept in pages; UINT64_MAX: none */
	uint64_t ready_chunks;   /* room for so many chunks at first */
	uint64_t max_chunks;     /* and at most */
	struct engine_settings paged; /* of the slab or the page engine */
};

/* hooks, state: borrowed. 0 and *ret_snapshot (snapshot__free), or -errno after saying why on
 * stderr. */
int snapshot__open(const struct snapshot_settings *settings, const struct hooks *hooks,
		   struct state *state, struct snapshot **ret_snapshot);

/* To be called with each event that concerns ranges, and EVENT_EXEC, in their order. 0 or
 * -errno. */
int snapshot__note(struct snapshot *snapshot, const struct event *event);

/*
 * Makes the ranges equal to what is wanted, for a checkpoint. For a restore only takes out what is
 * gone: new ranges have nothing saved. All events must have been noted.
 * Returns 0; -REASON_CHUNK_LIMIT; -REASON_EVENTS_LOST when events were lost, and with them the
 * snapshot (the ranges are right all the same); or as target__wanted().
 */
int snapshot__reconcile(struct snapshot *snapshot, struct target *target, enum operation_kind kind);

/* Before a checkpoint, while no thread of the target is held: looks how writes of the target can be
 * tracked. */
void snapshot__watch(struct snapshot *snapshot, struct target *target);

/* Only one can arm a page. From now on that is somebody else, so copies compare all pages. */
void snapshot__leave_tracking(struct snapshot *snapshot);

/* Before each copy: finds the pages to be copied. 0; -ENOMEM; -REASON_SLAB_LIMIT; -ESRCH;
 * -errno. */
int snapshot__begin(struct snapshot *snapshot, struct target *target, enum operation_kind kind);

/*
 * After each copy: does what the kernel side has left. Makes the target stand still
 * (target__hold(); the caller releases it) only if a page that is left can hold data. Where BPF may
 * not write, the caller has held it since BPF compared. ret_result: zeroed by the caller; on
 * failure, what was done until then. Returns 0 (chunks that could not be moved are counted);
 * -ENOMEM; -ESRCH; -errno. Memory, or the snapshot, is then made good in part.
 */
int snapshot__repair(struct snapshot *snapshot, struct target *target,
		     struct engine_result *ret_result);

/* Has the kernel side left anything of the last copy? */
bool snapshot__is_left(const struct snapshot *snapshot);

/* Is anything of that left for which the target must stand still? */
bool snapshot__needs_hold(const struct snapshot *snapshot, struct target *target);

/* The checkpoint is whole, and has so many chunks: from now on it can be restored. */
void snapshot__commit(struct snapshot *snapshot, uint64_t chunks);

/* The checkpoint has failed. The snapshot before it can be restored again if it is whole. Returns
 * whether it is. */
bool snapshot__revert(struct snapshot *snapshot);

/* Is there a snapshot that can be restored? A checkpoint that another request has overtaken is
 * taken back. */
bool snapshot__is_whole(struct snapshot *snapshot);

/* How many pages the kernel side has copied or compared in this operation, and how many there
 * are. */
void snapshot__progress(const struct snapshot *snapshot, uint64_t *ret_done, uint64_t *ret_pages);

/* How the last operation found the pages that may differ from the snapshot, and how many pages it
 * has looked at. DIRTY_AUTO where no pages are kept. */
enum dirty_way snapshot__dirty(const struct snapshot *snapshot, uint64_t *ret_pages);

/* Chunks of the snapshot that are unmapped by now. met: how many chunks a restore has met. */
uint64_t snapshot__count_gone(const struct snapshot *snapshot, uint64_t met);

/* Creating room takes longer than filling it: makes some for what the running target has come to
 * hold. Returns whether to call it again soon. */
bool snapshot__provide(struct snapshot *snapshot, struct target *target);

/* Adds every range; with_reserved: and mappings without access that may hold data. 0 or
 * -ENOMEM. */
int snapshot__ranges(const struct snapshot *snapshot, bool with_reserved, struct intervals *ranges);
size_t snapshot__range_count(const struct snapshot *snapshot);

/* Are writes found by the list of faults? It can only be relied on if the target stands still. */
bool snapshot__uses_list(const struct snapshot *snapshot);

/* How many chunks the chunk engine keeps; and how many pages polls must visit before the copy that
 * was begun is done. */
uint64_t snapshot__chunk_count(const struct snapshot *snapshot);
uint64_t snapshot__visit_count(const struct snapshot *snapshot);

/* Are ranges kept in whole pages? */
bool snapshot__keeps_pages(const struct snapshot *snapshot);

/* Calls each for every chunk and page, engine by engine. 0 or -errno. */
int snapshot__visit(struct snapshot *snapshot, saved_visitor *each, void *argument);

/* The bytes of a page of the snapshot, valid until the next call. 0, -ENOENT or -errno. */
int snapshot__read_page(struct snapshot *snapshot, uint64_t address, const uint8_t **ret_bytes);

/* Calls each for every kind of store. */
void snapshot__account(const struct snapshot *snapshot, account_visitor *each, void *argument);

/* snapshot__free(NULL) is harmless. */
void snapshot__free(struct snapshot *snapshot);

#endif
