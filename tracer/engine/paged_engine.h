/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the slab and the page engine have in common: they keep whole pages, and a table says which.
 *
 *	table:  |page|page|page|page| ... |page|page|
 *	         ^ sorted: found by the    ^ appended by restores since: they
 *	           checkpoint                were zeros at the checkpoint
 *
 * Always holds: known has the pages of the table that are not gone, each of them once, and they lie
 * in the ranges that were saved. Where the bytes of a page are is the business of each engine.
 */
#ifndef TRACER_ENGINE_PAGED_ENGINE_H
#define TRACER_ENGINE_PAGED_ENGINE_H

#include "engine/engine.h"
#include "engine/extents.h"
#include "target/write_batch.h"

struct paged_engine;

struct paged_ops { /* where the bytes are; all return 0 or -errno */
	/* Before a checkpoint of the known pages: makes room for them. */
	int (*reserve)(struct paged_engine *paged);

	/* Before a copy, with the table filled: tells the kernel side what to visit. */
	int (*lay_out)(struct paged_engine *paged, enum operation_kind kind);

	/* The bytes of a page that is present. place: which of paged->places to fetch them into, if
	 * they are not in memory. */
	int (*fetch)(struct paged_engine *paged, const struct slab *slab, uint32_t place,
		     uint8_t **ret_bytes);

	/* Memory to read the next page into, and keeping what was read there. */
	int (*next)(struct paged_engine *paged, uint8_t **ret_bytes);
	int (*keep)(struct paged_engine *paged, struct slab *slab, const uint8_t *bytes);

	/* Nothing is saved of [start, end) any more. May be NULL. */
	int (*drop)(struct paged_engine *paged, uint64_t start, uint64_t end);
};

struct paged_engine {
	struct engine engine;
	const struct paged_ops *ops;
	struct extents extents; /* the table and, with the slab engine, the slots */
	struct intervals saved; /* ranges of the last checkpoint, page-aligned */
	struct intervals known;
	struct write_batch batch; /* what a repair writes */
	uint32_t sorted;
	uint32_t places; /* pages that can be fetched at the same time; 0: no limit */
	bool verify;     /* keep checksums */
};

/* The engine that is the first field of a paged engine. */
static inline struct paged_engine *paged_engine__of(const struct engine *engine)
{
	return (struct paged_engine *)engine;
}

static inline struct slab *paged_engine__slab(const struct paged_engine *paged, uint32_t index)
{
	return extents__slab(&paged->extents, index);
}

/* Marks a page as left to user space. */
static inline void paged_engine__flag(struct paged_engine *paged, struct slab *slab, uint8_t flags)
{
	slab->flags = flags;
	paged->engine.state->operation.slab_flags++;
}

/* Fills in a zero-initialised one. slots_fd, tables_fd: as in extents__open(). 0 or -errno;
 * then call paged_engine__close() in both cases. */
int paged_engine__open(struct paged_engine *paged, const struct engine_ops *engine_ops,
		       const struct paged_ops *ops, struct state *state, int slots_fd,
		       int tables_fd);

/* For struct engine_ops, see there. */
int paged_engine__note(struct engine *engine, const struct event *event);
int paged_engine__reset(struct engine *engine);
int paged_engine__place(struct engine *engine, const struct intervals *wanted,
			const struct intervals *reserved);
int paged_engine__prune(struct engine *engine, const struct intervals *wanted,
			const struct intervals *reserved);
int paged_engine__begin(struct engine *engine, struct target *target, enum operation_kind kind);
bool paged_engine__is_left(struct engine *engine, struct target *target);
int paged_engine__repair(struct engine *engine, struct target *target,
			 struct engine_result *result);
int paged_engine__visit(struct engine *engine, block_visitor *each, void *argument);
int paged_engine__read(struct engine *engine, uint64_t address, const uint8_t **ret_bytes);
uint64_t paged_engine__added(const struct engine *engine);

/* The first page that is present, or NULL. */
struct slab *paged_engine__first_present(const struct paged_engine *paged);

/* Frees what is in here, not the engine itself. Harmless on one that is zero-initialised. */
void paged_engine__close(struct paged_engine *paged);

#endif
