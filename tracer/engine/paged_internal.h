/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The parts of a paged engine among themselves; others include paged_engine.h. Each part calls what
 * is above it here:
 *
 *	paged_list.c     the entries that an operation visits
 *	paged_engine.c   ranges, what is saved, the life of an engine
 *	paged_begin.c    before a copy
 *	paged_repair.c   after a copy
 *
 * All return 0, -errno or a reason, unless they say otherwise.
 */
#ifndef TRACER_ENGINE_PAGED_INTERNAL_H
#define TRACER_ENGINE_PAGED_INTERNAL_H

#include "engine/paged_state.h"

static inline bool paged_engine__is_restore(const struct paged_engine *paged)
{
	return paged->engine.state->operation.kind == OPERATION_RESTORE;
}

static inline struct slab *paged_engine__slab(const struct paged_engine *paged, uint32_t index)
{
	return slab_table__at(&paged->table, index);
}

/* Gives the slot of an entry back, if it has one. argument: the engine. */
void paged_engine__give_slot(struct slab *slab, void *argument);

/* Nothing is saved any more. */
void paged_engine__forget(struct paged_engine *paged);

/* [start, end) is unmapped: what was saved of it is gone. */
int paged_engine__drop_saved(struct paged_engine *paged, uint64_t start, uint64_t end);

/* The bytes that a page had at the checkpoint. at: as for paged_ops.fetch. */
int paged_engine__saved_bytes(struct paged_engine *paged, const struct slab *slab, uint32_t at,
			      uint8_t **ret_bytes);

/* Ends what the operation before has left: a checkpoint that has failed is taken back. */
int paged_engine__end_last(struct paged_engine *paged);

/* ---- the list ---- */

/* Puts an entry on the list. */
int paged_list__put(struct paged_engine *paged, uint32_t index);
void paged_list__clear(struct paged_engine *paged);

/* The checkpoint is to read the page of an entry: into a new slot. */
int paged_list__make_due(struct paged_engine *paged, uint32_t index);

/* Adds and lists pages that the snapshot does not have: they were zeros at the checkpoint. */
int paged_list__add_pages(struct paged_engine *paged, const struct intervals *pages);

/* Lists what the last question has answered. */
int paged_list__fill(struct paged_engine *paged);

/* Calls each for every page of a set, until one fails. */
int paged_list__for_each(struct paged_engine *paged, const struct intervals *pages,
			 int (*each)(struct paged_engine *paged, uint64_t address));

/* ---- arming ---- */

/* Has the target stood still until now, or is its only thread in a poll since the operation has
 * begun? */
bool paged_engine__is_still(const struct paged_engine *paged, const struct target *target);

/* Arms the pages of the operation, but not the hot ones. */
int paged_engine__arm(struct paged_engine *paged, const struct target *target);

#endif
