/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See paged_engine.h: the ranges, what is saved, the life of an engine. The parts of an operation
 * are in files of their own (paged_internal.h).
 */
#include "engine/paged_engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "engine/paged_internal.h"
#include "target/reason.h"

enum {
	TRACKED_PAGES = 64, /* to track fewer pages costs more than to compare them */
	HELD_PAGES = 16384, /* to look at more takes longer than a poll waits (POLL_WAIT_NS) */
};

void paged_engine__give_slot(struct slab *slab, void *argument)
{
	struct paged_engine *paged = argument;

	if (slab->slot != NO_SLOT)
		paged->ops->give_slot(paged, slab);
	slab->slot = NO_SLOT;
}

void paged_engine__forget(struct paged_engine *paged)
{
	struct state *state = paged->engine.state;

	if (paged->ops) {
		revisions__forget(&paged->revisions, paged_engine__give_slot, paged);
		paged->ops->clear(paged);
	}
	revisions__clear(&paged->revisions);
	slab_table__clear(&paged->table);
	intervals__clear(&paged->saved);
	intervals__clear(&paged->known);
	intervals__clear(&paged->engine.added);
	intervals__clear(&paged->pending);
	intervals__clear(&paged->hot);
	state->slots = state->visits = state->listed = state->placed = 0;
	paged->listed = 0;
	paged->narrow = paged->whole = paged->committed = false;
}

/* ---- ranges ---- */

/* [start, end) is unmapped: what was saved of it is gone. */
int paged_engine__drop_saved(struct paged_engine *paged, uint64_t start, uint64_t end)
{
	int err = dirty_pages__drop(&paged->dirty, start, end);

	if (err || !paged->saved.count)
		return err;
	slab_table__drop(&paged->table, start, end);
	err = intervals__remove(&paged->saved, start, end);
	if (err)
		return err;
	err = intervals__remove(&paged->known, start, end);
	if (err)
		return err;
	err = intervals__remove(&paged->engine.added, start, end);
	if (err)
		return err;
	err = intervals__remove(&paged->pending, start, end);
	if (err)
		return err;
	return paged->ops->drop ? paged->ops->drop(paged, start, end) : 0;
}

static int drop(struct paged_engine *paged, uint64_t start, uint64_t end)
{
	int err = paged_engine__drop_saved(paged, start, end);

	if (err)
		return err;
	err = intervals__remove(&paged->engine.reserved, start, end);
	if (err)
		return err;
	return intervals__remove(&paged->engine.ranges, start, end);
}

int paged_engine__note(struct engine *engine, const struct event *event)
{
	struct paged_engine *paged = paged_engine__of(engine);

	switch (event->kind) {
	case EVENT_LOST: /* nobody knows any more which mapping is which */
		paged_engine__forget(paged);
		intervals__clear(&paged->dirty.armed);
		return 0;
	case EVENT_EXEC:
		paged_engine__forget(paged);
		dirty_pages__forget(&paged->dirty);
		intervals__clear(&engine->ranges);
		intervals__clear(&engine->reserved);
		engine->state->has_slabs = engine->state->held = engine->state->lazily_freed = 0;
		return 0;
	case EVENT_DROPPED:
	case EVENT_DOOMED:
		return drop(paged, event->start, event->end);
	default:
		return 0;
	}
}

/* What a checkpoint will keep. What was saved of other ranges goes when it begins. */
static int set_ranges(struct engine *engine, const struct intervals *wanted,
		      const struct intervals *reserved)
{
	struct intervals ranges = {0}, rest = {0};
	int err = intervals__copy(wanted, &ranges);

	if (err)
		return err;
	err = intervals__copy(reserved, &rest);
	if (err) {
		intervals__clear(&ranges);
		return err;
	}
	intervals__clear(&engine->ranges);
	intervals__clear(&engine->reserved);
	engine->ranges = ranges;
	engine->reserved = rest;
	engine->state->has_slabs = ranges.count || rest.count;
	return 0;
}

static int drop_unmapped(struct paged_engine *paged, const struct intervals *wanted,
			 const struct intervals *reserved)
{
	struct intervals mapped = {0}, gone = {0};
	int err = intervals__copy(wanted, &mapped);

	if (err)
		goto out;
	err = intervals__unite(&mapped, reserved);
	if (err)
		goto out;
	err = intervals__subtract(&paged->saved, &mapped, &gone);
	for (size_t i = 0; i < gone.count && !err; i++)
		err = drop(paged, gone.items[i].start, gone.items[i].end);
out:
	intervals__clear(&mapped);
	intervals__clear(&gone);
	return err;
}

int paged_engine__place(struct engine *engine, enum operation_kind kind,
			const struct intervals *wanted, const struct intervals *reserved)
{
	if (kind == OPERATION_CHECKPOINT)
		return set_ranges(engine, wanted, reserved);
	return drop_unmapped(paged_engine__of(engine), wanted, reserved);
}

/* ---- what is saved ---- */

/* The bytes that a page had at the checkpoint. */
int paged_engine__saved_bytes(struct paged_engine *paged, const struct slab *slab, uint32_t at,
			      uint8_t **ret_bytes)
{
	static uint8_t zeros[SLAB_BYTES]; /* never written to */

	if (slab->state == SLAB_PRESENT)
		return paged->ops->fetch(paged, slab, at, ret_bytes);
	*ret_bytes = zeros;
	return 0;
}

int paged_engine__visit(struct engine *engine, saved_visitor *each, void *argument)
{
	static const enum saved_state states[] = {[SLAB_DUE] = SAVED_EMPTY,
						  [SLAB_PRESENT] = SAVED_PRESENT,
						  [SLAB_ZERO] = SAVED_ZERO,
						  [SLAB_UNREADABLE] = SAVED_UNREADABLE};
	struct paged_engine *paged = paged_engine__of(engine);

	for (uint32_t i = 0; i < engine->state->slabs; i++) {
		const struct slab *slab = paged_engine__slab(paged, i);
		struct saved saved = {.kind = SAVED_PAGE,
				      .address = slab->address,
				      .length = SLAB_BYTES,
				      .state = states[slab->state]};
		uint8_t *bytes;
		int err;

		if (slab->state == SLAB_GONE)
			continue;
		if (slab->state == SLAB_PRESENT) {
			err = paged->ops->fetch(paged, slab, 0, &bytes);
			if (err)
				return err;
			saved.bytes = bytes;
		}
		each(&saved, argument);
	}
	return 0;
}

static int read_page(struct engine *engine, uint64_t address, const uint8_t **ret_bytes)
{
	struct paged_engine *paged = paged_engine__of(engine);
	uint32_t index = slab_table__find(&paged->table, address);
	uint8_t *bytes;
	int err;

	if (index == NO_SLAB)
		return -ENOENT;
	err = paged_engine__saved_bytes(paged, paged_engine__slab(paged, index), 0, &bytes);
	if (!err)
		*ret_bytes = bytes;
	return err;
}

static struct slab *first_present(const struct paged_engine *paged)
{
	for (uint32_t i = 0; i < paged->engine.state->slabs; i++)
		if (paged_engine__slab(paged, i)->state == SLAB_PRESENT)
			return paged_engine__slab(paged, i);
	return NULL;
}

static void damage(struct engine *engine)
{
	struct paged_engine *paged = paged_engine__of(engine);
	struct slab *slab = first_present(paged);
	uint8_t *bytes;

	if (!slab || paged->ops->fetch(paged, slab, 0, &bytes))
		return;
	*bytes ^= 1;
	(void)paged->ops->keep(paged, slab, bytes);
}

/* ---- beginning and end ---- */

/* What the operation before has left: a checkpoint that has failed is taken back. */
int paged_engine__end_last(struct paged_engine *paged)
{
	bool failed = paged->revisions.begun && !paged->committed;
	int err = 0;

	paged_list__clear(paged);
	intervals__clear(&paged->hot);
	paged->narrow = false;
	if (failed)
		err = revisions__revert(&paged->revisions, &paged->table, &paged->saved,
					&paged->known, paged_engine__give_slot, paged);
	else if (paged->revisions.begun)
		revisions__forget(&paged->revisions, paged_engine__give_slot, paged);
	if (paged->committed) {
		intervals__clear(&paged->pending);
		intervals__clear(&paged->engine.added);
	}
	paged->committed = paged->replaced = false;
	if (err)
		paged_engine__forget(paged);
	return err;
}

static bool commit(struct paged_engine *paged)
{
	paged->whole = paged->committed = true;
	return true;
}

static bool revert(struct paged_engine *paged)
{
	paged->committed = false;
	if (paged->replaced)
		paged->whole = false;
	return paged->whole && !paged_engine__end_last(paged);
}

bool paged_engine__end(struct engine *engine, bool good)
{
	struct paged_engine *paged = paged_engine__of(engine);

	return good ? commit(paged) : revert(paged);
}

static bool provide(struct engine *engine, uint64_t pages)
{
	struct paged_engine *paged = paged_engine__of(engine);

	/* where that fails, the checkpoint will say so, if it still is so then */
	return paged->extents.slots_fd >= 0 &&
	       extents__provide(&paged->extents, paged_engine__slots_for(paged, pages));
}

static void watch(struct engine *engine, struct target *target, uint64_t pages)
{
	struct paged_engine *paged = paged_engine__of(engine);

	if (pages >= TRACKED_PAGES || paged->dirty.wish > DIRTY_AUTO)
		dirty_pages__choose(&paged->dirty, target, pages);
	engine->state->held = dirty_pages__needs_stop(&paged->dirty) ||
			      (dirty_pages__is_tracking(&paged->dirty) && pages >= HELD_PAGES &&
			       paged->pause <= 1); /* else this checkpoint tracks nothing */
}

static void leave_tracking(struct engine *engine)
{
	dirty_pages__leave(&paged_engine__of(engine)->dirty);
	engine->state->held = 0;
}

static bool uses_list(const struct engine *engine)
{
	return paged_engine__of(engine)->dirty.way == DIRTY_FAULTS;
}

bool paged_engine__is_left(const struct engine *engine)
{
	return engine->state->operation.slab_flags != 0;
}

const struct page_ops paged_engine__page_ops = {
	.watch = watch,
	.leave_tracking = leave_tracking,
	.uses_list = uses_list,
	.provide = provide,
	.read = read_page,
	.damage = damage,
};

int paged_engine__init(struct paged_engine *paged, const struct engine *engine,
		       const struct paged_ops *ops, const struct engine_settings *settings,
		       const struct hooks *hooks, int slots_fd, int tables_fd)
{
	*paged = (struct paged_engine){.engine = *engine,
				       .ops = ops,
				       .verify = settings->verify,
				       .restore_in_bpf = settings->restore_in_bpf,
				       .restore_all = settings->restore_all};
	paged->table = (struct slab_table){.extents = &paged->extents, .state = engine->state};
	dirty_pages__init(&paged->dirty, settings->dirty_way, hooks);
	return extents__open(&paged->extents, slots_fd, tables_fd);
}

void paged_engine__close(struct paged_engine *paged)
{
	paged_engine__forget(paged);
	dirty_pages__close(&paged->dirty);
	extents__close(&paged->extents);
	intervals__clear(&paged->engine.ranges);
	intervals__clear(&paged->engine.reserved);
	intervals__clear(&paged->later);
	write_batch__clear(&paged->batch);
	free(paged->list);
}
