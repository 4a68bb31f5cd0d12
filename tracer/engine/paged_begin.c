/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See paged_internal.h: what is to be done before a copy. Without tracking, pagemap says which
 * pages may hold data.
 */
#include "engine/paged_engine.h"

#include <errno.h>
#include <string.h>
#include "base/log.h"
#include "engine/paged_internal.h"
#include "target/fault_injection.h"
#include "target/reason.h"

enum {
	CROWDED = 4,      /* after so many operations in a row with most pages dirty, */
	CROWD_PAUSE = 16, /* nothing is armed for so many, and the next time for twice as many; */
	MOST_PAUSES = 6,  /* doubled so often at most */
};

enum {
	FEW_PAGES = 64,    /* are never a crowd */
	KEPT_PAGES = 1024, /* so many are kept beside those of a checkpoint, whatever it copies */
};

bool paged_engine__is_still(const struct paged_engine *paged, const struct target *target)
{
	const struct state *state = paged->engine.state;

	if (target->held || __atomic_load_n(&state->waiting, __ATOMIC_SEQ_CST))
		return true;
	if (state->operation.phase == PHASE_COPIED)
		return !__atomic_load_n(&state->ran_after_copy, __ATOMIC_SEQ_CST);
	return state->stopped &&
	       (state->held || (paged_engine__is_restore(paged) && !paged->restore_in_bpf));
}

/* Arms pages that a checkpoint is about to read. To clear soft-dirty bits counts as a change of
 * mappings since Linux 6.4, so that the checkpoint begins again. Then it is done already. */
static int arm_first(struct paged_engine *paged, struct memory *memory,
		     const struct intervals *pages, const struct intervals *spared)
{
	if (paged->again && dirty_pages__needs_stop(&paged->dirty))
		return 0;
	return dirty_pages__arm(&paged->dirty, memory, pages, spared);
}

int paged_engine__arm(struct paged_engine *paged, const struct target *target)
{
	const struct intervals *spared = paged_engine__is_still(paged, target) ? &paged->hot : NULL;
	struct memory *memory = target->memory;
	struct intervals cold = {0};
	int err = intervals__subtract(&paged->pending, &paged->hot, &cold);

	if (err)
		return err;
	if (paged_engine__is_restore(paged))
		err = dirty_pages__arm(&paged->dirty, memory, &cold, spared);
	else
		err = arm_first(paged, memory, &cold, spared);
	intervals__clear(&cold);
	return err;
}

static int find_wanted(const struct paged_engine *paged, struct intervals *ret)
{
	int err = intervals__copy(&paged->engine.ranges, ret);

	return err ? err : intervals__unite(ret, &paged->engine.reserved);
}

static int append_due(struct paged_engine *paged, uint64_t address)
{
	uint32_t index;

	return slab_table__append(&paged->table, address, SLAB_DUE, &index);
}

/* A checkpoint of everything. The pages are armed before they are read: what is written meanwhile
 * counts as written since. */
static int begin_whole(struct paged_engine *paged, struct memory *memory)
{
	int err;

	paged_engine__forget(paged);
	paged->replaced = true;
	paged->engine.state->valid = 0;
	err = find_wanted(paged, &paged->saved);
	if (err)
		return err;
	if (paged->tracked) {
		dirty_pages__begin(&paged->dirty);
		err = arm_first(paged, memory, &paged->saved, NULL);
		if (err)
			return err;
		err = dirty_pages__cover(&paged->dirty, memory, &paged->saved, !paged->again);
		if (err)
			return err;
	}
	err = memory__all_data_pages(memory, &paged->saved, &paged->known);
	if (err)
		return err;
	if (intervals__bytes(&paged->known) > (uint64_t)EXTENTS * EXTENT_SLABS * SLAB_BYTES)
		return -REASON_SLAB_LIMIT;
	err = paged->ops->make_room(paged, intervals__bytes(&paged->known) / SLAB_BYTES);
	if (err)
		return err;
	err = extents__fit_slabs(&paged->extents, intervals__bytes(&paged->known) / SLAB_BYTES);
	return err ? err : paged_list__for_each(paged, &paged->known, append_due);
}

/* *set becomes what is in both. */
static int keep_common(struct intervals *set, const struct intervals *other)
{
	struct intervals both = {0};
	int err = intervals__intersect(set, other, &both);

	if (err)
		return err;
	intervals__clear(set);
	*set = both;
	return 0;
}

/* Asks which pages may differ. Those of operations that have failed are added to the answer. They
 * are pending from now on, until this one has succeeded. */
static int ask(struct paged_engine *paged, struct memory *memory)
{
	struct dirty_pages *dirty = &paged->dirty;
	int err = keep_common(&paged->pending, &paged->saved);

	if (err)
		return err;
	err = paged->tracked ? dirty_pages__ask(dirty, memory, &paged->saved, &paged->known)
			     : dirty_pages__ask_nobody(dirty, memory, &paged->saved, &paged->known);
	if (err)
		return err;
	err = intervals__unite(&dirty->written, &paged->pending);
	if (err)
		return err;
	for (size_t i = 0; i < paged->pending.count && !err; i++)
		err = intervals__remove(&dirty->missing, paged->pending.items[i].start,
					paged->pending.items[i].end);
	if (err)
		return err;
	err = intervals__unite(&paged->pending, &dirty->written);
	return err ? err : intervals__unite(&paged->pending, &dirty->missing);
}

/* Makes room for new slots of these pages. */
static int make_more_room(struct paged_engine *paged, const struct intervals *pages)
{
	return paged->ops->make_room(paged, paged->engine.state->slots +
						    intervals__bytes(pages) / SLAB_BYTES);
}

/* Ranges that are not wanted any more go, and all pages of new ones are to be saved. */
static int change_ranges(struct paged_engine *paged, struct memory *memory)
{
	struct intervals wanted = {0}, gone = {0}, come = {0}, pages = {0};
	int err = find_wanted(paged, &wanted);

	if (err)
		goto out;
	err = intervals__subtract(&paged->saved, &wanted, &gone);
	for (size_t i = 0; i < gone.count && !err; i++)
		err = paged_engine__drop_saved(paged, gone.items[i].start, gone.items[i].end);
	if (err)
		goto out;
	err = intervals__subtract(&wanted, &paged->saved, &come);
	if (err)
		goto out;
	if (paged->tracked)
		err = dirty_pages__cover(&paged->dirty, memory, &wanted, false);
	if (err)
		goto out;
	err = memory__all_data_pages(memory, &come, &pages);
	if (err)
		goto out;
	err = intervals__unite(&paged->saved, &come);
	if (err)
		goto out;
	err = intervals__unite(&paged->pending, &pages);
	if (err)
		goto out;
	err = make_more_room(paged, &pages);
	if (err)
		goto out;
	err = paged_list__add_pages(paged, &pages);
out:
	intervals__clear(&wanted);
	intervals__clear(&gone);
	intervals__clear(&come);
	intervals__clear(&pages);
	return err;
}

/* A checkpoint of the pages that may differ from the one before, which can be taken back. They are
 * armed first: what is written meanwhile counts as written since. */
static int begin_changes(struct paged_engine *paged, struct target *target)
{
	int err = revisions__begin(&paged->revisions, &paged->table, &paged->saved);

	if (err)
		return err;
	paged->narrow = true;
	err = make_more_room(paged, &paged->pending);
	if (err)
		return err;
	err = paged_list__fill(paged);
	if (err)
		return err;
	if (paged->tracked)
		err = paged_engine__arm(paged, target);
	if (err)
		return err;
	err = fault_injection__pass("armed", target->pid);
	if (err)
		return err;
	return change_ranges(paged, target->memory);
}

/* Are most pages dirty? Then to track them costs more than it spares, above all in the target. */
static bool is_crowded(struct paged_engine *paged)
{
	uint64_t dirty = intervals__bytes(&paged->pending) / SLAB_BYTES;
	uint64_t pages = slab_table__pages(&paged->table);

	if (dirty <= FEW_PAGES || dirty <= pages / 2) {
		if (paged->is_round)
			paged->crowded = paged->pauses = 0;
		return false;
	}
	paged->crowded += !paged->again;
	if (paged->crowded >= CROWDED) {
		intervals__clear(&paged->dirty.armed);
		paged->pause = CROWD_PAUSE << paged->pauses;
		if (paged->pauses < MOST_PAUSES)
			paged->pauses++;
		paged->crowded = 0;
		paged->tracked = false;
	}
	return true;
}

/* A checkpoint of few pages, or of few that may differ, keeps the snapshot before it. */
static int begin_checkpoint(struct paged_engine *paged, struct target *target)
{
	bool few = slab_table__pages(&paged->table) <= KEPT_PAGES, crowded;
	int err;

	if (!paged->whole || (!paged->tracked && !few))
		return begin_whole(paged, target->memory);
	err = slab_table__tidy(&paged->table, paged_engine__give_slot, paged);
	if (err)
		return err;
	err = ask(paged, target->memory);
	if (err)
		return err;
	crowded = paged->tracked && is_crowded(paged);
	if ((crowded && !few) || !paged->ops->has_room(paged))
		return begin_whole(paged, target->memory);
	return begin_changes(paged, target);
}

/* Pages that hold data now and did not at the checkpoint are to read as zeros. */
static int begin_restore_whole(struct paged_engine *paged, struct memory *memory)
{
	struct intervals now = {0}, since = {0};
	int err = memory__all_data_pages(memory, &paged->saved, &now);

	if (err)
		goto out;
	err = intervals__subtract(&now, &paged->known, &since);
	if (err)
		goto out;
	err = paged_list__add_pages(paged, &since);
out:
	intervals__clear(&now);
	intervals__clear(&since);
	return err;
}

/* Did most of the pages differ when so many were dirty the last time? Then they are
 * taken to differ again. They are compared only now and then, to see whether that is still so. */
static void foresee_differences(struct paged_engine *paged)
{
	bool differ = paged->uncompared > 0;

	if (differ)
		paged->uncompared -= !paged->again;
	paged->engine.state->all_differ = differ;
	paged->is_sample = !differ;
}

static int begin_restore(struct paged_engine *paged, struct memory *memory)
{
	bool crowded;
	int err;

	if (!paged->tracked)
		return begin_restore_whole(paged, memory);
	err = ask(paged, memory);
	if (err)
		return err;
	crowded = is_crowded(paged);
	if (crowded && !paged->tracked)
		return begin_restore_whole(paged, memory);
	paged->narrow = true;
	err = paged_list__fill(paged);
	if (err)
		return err;
	if (paged->restore_all || paged->listed > SLABS_LISTED) {
		paged_list__clear(paged);
		paged->narrow = false;
	}
	if (crowded && paged->narrow)
		foresee_differences(paged);
	return 0;
}

/* A checkpoint just after a restore finds few dirty pages: only other operations are rounds. */
static void begin_round(struct paged_engine *paged)
{
	paged->again = paged->sequence == paged->engine.state->operation.sequence;
	if (paged->again)
		return;
	paged->sequence = paged->engine.state->operation.sequence;
	paged->is_round = paged_engine__is_restore(paged) || !paged->was_restored;
	if (paged->is_round)
		paged->round++;
	paged->was_restored = paged_engine__is_restore(paged);
	if (paged->pause)
		paged->pause--;
}

/* Does the operation use write tracking? Not while pages are pinned. What was armed before is not
 * relied on later, either. */
static bool is_tracked(struct paged_engine *paged)
{
	const struct state *state = paged->engine.state;

	if (!dirty_pages__is_tracking(&paged->dirty))
		return false;
	if (state->pinned) {
		if (!paged->pinned_told)
			log__info("the kernel may hold on to memory of the target (io_uring, "
				  "asynchronous reads, ...): all pages are compared");
		paged->pinned_told = true;
		intervals__clear(&paged->dirty.armed);
		return false;
	}
	return !paged->pause && (!paged_engine__is_restore(paged) || paged->dirty.armed.count);
}

int paged_engine__begin(struct engine *engine, struct target *target, enum operation_kind kind)
{
	struct paged_engine *paged = paged_engine__of(engine);
	struct state *state = engine->state;
	int err;

	state->operation.slab_cursor = state->operation.slab_flags = 0;
	err = paged_engine__end_last(paged);
	if (err)
		goto out;
	begin_round(paged);
	paged->tracked = paged->is_sample = false;
	state->all_differ = 0;
	state->ran_before_copy = state->ran_after_copy = 0; /* of all engines */
	if (!state->has_slabs && !state->slabs)
		return 0;
	paged->tracked = is_tracked(paged);
	paged->unsure = false;
	err = target__look_again(target);
	if (err)
		goto out;
	if (kind == OPERATION_CHECKPOINT)
		err = begin_checkpoint(paged, target);
	else
		err = begin_restore(paged, target->memory);
	if (err)
		goto out;
	state->placed = kind == OPERATION_CHECKPOINT && paged->narrow;
	paged->engine.visited = paged_engine__visits(paged);
	paged->engine.found_by = paged->narrow ? paged->dirty.found_by : DIRTY_COMPARE;
	if (paged->narrow)
		state->operation.clean +=
			(uint64_t)(slab_table__pages(&paged->table) - paged->listed) * SLAB_CHUNKS;
	if (!paged_engine__is_still(paged, target))
		dirty_pages__doubt(&paged->dirty);
	err = paged->ops->lay_out(paged, kind);
out:
	if (err && paged->replaced)
		paged_engine__forget(paged);
	return err;
}
