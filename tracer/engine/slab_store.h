/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The slab store from user space (bpf/slab.bpf.h draws it): which pages of the large ranges may
 * hold data is found here, from pagemap, before each copy; the bytes are moved by BPF, or by us
 * where BPF could not. Table and extents are shared memory: no system call looks at them.
 *
 * With the page engine (page_engine.h) the table is the same, for user space alone; the bytes are
 * in that engine's maps and not in extents, and its return codes become flags in the table.
 */
#ifndef TRACER_ENGINE_SLAB_STORE_H
#define TRACER_ENGINE_SLAB_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/types.h>
#include "tracer.h"
#include "base/intervals.h"
#include "target/memory.h"
#include "engine/page_engine.h"
#include "engine/chunk_snapshot.h"

struct slab_store;

/* extents_fd, tables_fd: the outer maps; pages: the engine that holds the bytes, or NULL for
 * extents; all borrowed. state: the shared state; verify: keep checksums of what is read here, as
 * BPF does of what it reads into extents. 0 and *ret_store (slab_store__free), or -ENOMEM. */
int slab_store__open(int extents_fd, int tables_fd, struct page_engine *pages, struct state *state,
		     bool verify, struct slab_store **ret_store);

/* The ranges that are kept in slabs, page-aligned. */
const struct intervals *slab_store__ranges(const struct slab_store *store);

/*
 * Before a checkpoint: makes ranges the ones that are kept in slabs, and the table that of their
 * pages that may hold data now, all due; extents that are missing are created, and those that are
 * too many are given back. As many pages are taken for zeros, which take no place, as were at the
 * last checkpoint; what then finds no place is repaired. The target must stand still, or poll.
 * Returns 0; -ENOMEM when there is no memory for extents or the table; -REASON_SLAB_LIMIT above 64
 * GiB; -ESRCH; -errno. On failure the table is empty.
 */
int slab_store__begin_checkpoint(struct slab_store *store, const struct intervals *ranges,
				 struct memory *memory);

/*
 * Ahead of a checkpoint: creates extents for so many pages, but no more than 8 MiB of them in one
 * call, so that a request need not wait long. Returns whether more are wanted; where there is no
 * memory it wants no more.
 */
bool slab_store__provide(struct slab_store *store, uint64_t pages);

/* After a checkpoint that is whole: gives back extents that pages of zeros did not take. */
void slab_store__end_checkpoint(struct slab_store *store);

/*
 * Before a restore: appends to the table the pages that hold data now and did not at the
 * checkpoint, to be restored as zeros. 0 or -errno.
 */
int slab_store__begin_restore(struct slab_store *store, struct memory *memory);

/* [start, end) is unmapped: what was saved of it is gone. 0 or -ENOMEM. */
int slab_store__drop(struct slab_store *store, uint64_t start, uint64_t end);

/* All is gone. */
void slab_store__clear(struct slab_store *store);

/* After the copy, with the page engine: converts its return codes into flags and counters. With
 * extents BPF has done that. 0 or -errno. */
int slab_store__collect(struct slab_store *store);

/*
 * After the copy: reads, or writes, what BPF has flagged; the target must stand still. Counts in
 * chunks into *result, which the caller has initialised. 0 (failures are counted), -ESRCH, -errno.
 */
int slab_store__repair_checkpoint(struct slab_store *store, struct memory *memory,
				  struct snapshot_result *result);
int slab_store__repair_restore(struct slab_store *store, struct memory *memory,
			       struct snapshot_result *result);

/* Is there, among the flagged, what must be repaired? */
bool slab_store__needs_repair(struct slab_store *store, struct memory *memory);

/* Calls each for every slab of the table that is not gone; slab stays until the next
 * checkpoint; bytes are SLAB_BYTES, valid during the call, NULL unless the slab is
 * present and its bytes are there. */
void slab_store__for_each(struct slab_store *store,
			  void (*each)(const struct slab *slab, const uint8_t *bytes,
				       void *argument),
			  void *argument);

/* The bytes of a slab, SLAB_BYTES, zeros if it is not present; valid until the next call for this
 * store. 0 or -errno. */
int slab_store__read(struct slab_store *store, const struct slab *slab, const uint8_t **ret_bytes);

/* Slabs that restores have appended to the table and that are not gone. */
uint64_t slab_store__appended(const struct slab_store *store);

/* Slots there are, or places of the page engine; memory of extents (or of that engine) and tables,
 * in bytes. */
uint64_t slab_store__slots(const struct slab_store *store);
uint64_t slab_store__memory(const struct slab_store *store);

/* Flips a bit of the first slab that has bytes, for the fault damage (fault.h). */
void slab_store__damage(struct slab_store *store);

/* slab_store__free(NULL) is harmless. */
void slab_store__free(struct slab_store *store);

#endif
