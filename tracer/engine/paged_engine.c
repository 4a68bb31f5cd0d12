/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See paged_engine.h. Without tracking, pagemap says before each copy which pages may hold data.
 */
#include "engine/paged_engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "target/fault.h"
#include "target/reason.h"

enum {
	TRACKED_PAGES = 64, /* to track fewer pages costs more than to compare them */
	HOT_ROUNDS = 8,     /* dirty in so many rounds in a row, a page is left unarmed, */
	HOT_REST = 64,      /* and armed once after so many more, to see whether it still is hot */
	CROWDED = 4,        /* operations with most pages dirty, until nothing is armed any more, */
	CROWD_REST = 16,    /* for so many operations, and the next time for twice as many, */
	MOST_RESTS = 6,     /* until it was doubled so often */
	READ_PAGES = 64,    /* that are compared with one read */
};

static bool is_restore(const struct paged_engine *paged)
{
	return paged->engine.state->operation.kind == OPERATION_RESTORE;
}

static struct slab *slab_at(const struct paged_engine *paged, uint32_t index)
{
	return slab_table__at(&paged->table, index);
}

static void give_slot(struct slab *slab, void *argument)
{
	struct paged_engine *paged = argument;

	if (paged->ops->give_slot)
		paged->ops->give_slot(paged, slab);
}

static void clear(struct paged_engine *paged)
{
	struct state *state = paged->engine.state;
	revisions__clear(&paged->revisions);
	slab_table__clear(&paged->table);
	intervals__clear(&paged->saved);
	intervals__clear(&paged->known);
	intervals__clear(&paged->added);
	intervals__clear(&paged->pending);
	intervals__clear(&paged->hot);
	if (paged->ops->clear)
		paged->ops->clear(paged);
	state->slots = state->visits = state->listed = state->placed = 0;
	paged->listed = 0;
	paged->narrow = paged->whole = paged->committed = false;
}

static int find_pages(struct memory *memory, const struct intervals *ranges,
		      struct intervals *pages)
{
	int err = 0;

	for (size_t i = 0; i < ranges->count && !err; i++)
		err = memory__data_pages(memory, ranges->items[i].start, ranges->items[i].end,
					 pages);
	return err;
}

/* ---- ranges ---- */

/* [start, end) is unmapped: what was saved of it is gone. */
static int drop_saved(struct paged_engine *paged, uint64_t start, uint64_t end)
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
	err = intervals__remove(&paged->added, start, end);
	if (err)
		return err;
	err = intervals__remove(&paged->pending, start, end);
	if (err)
		return err;
	return paged->ops->drop ? paged->ops->drop(paged, start, end) : 0;
}

static int drop(struct paged_engine *paged, uint64_t start, uint64_t end)
{
	int err = drop_saved(paged, start, end);

	if (err)
		return err;
	err = intervals__remove(&paged->engine.reserved, start, end);
	if (err)
		return err;
	return intervals__remove(&paged->engine.ranges, start, end);
}

/* Nobody knows any more which mapping is which. */
int paged_engine__reset(struct engine *engine)
{
	struct paged_engine *paged = paged_engine__of(engine);

	clear(paged);
	intervals__clear(&paged->dirty.armed);
	return 0;
}

int paged_engine__note(struct engine *engine, const struct event *event)
{
	switch (event->kind) {
	case EVENT_EXEC:
		clear(paged_engine__of(engine));
		dirty_pages__forget(&paged_engine__of(engine)->dirty);
		intervals__clear(&engine->ranges);
		intervals__clear(&engine->reserved);
		engine->state->has_slabs = engine->state->held = engine->state->lazily_freed = 0;
		return 0;
	case EVENT_DROPPED:
	case EVENT_DOOMED:
		return drop(paged_engine__of(engine), event->start, event->end);
	default:
		return 0;
	}
}

int paged_engine__place(struct engine *engine, const struct intervals *wanted,
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

int paged_engine__prune(struct engine *engine, const struct intervals *wanted,
			const struct intervals *reserved)
{
	struct paged_engine *paged = paged_engine__of(engine);
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

/* Has the target stood still until now, or is its only thread in a poll since the operation has
 * begun? */
static bool is_still(const struct paged_engine *paged, const struct target *target)
{
	const struct state *state = paged->engine.state;

	if (target->held || __atomic_load_n(&state->waiting, __ATOMIC_SEQ_CST))
		return true;
	if (state->operation.phase == PHASE_COPIED)
		return !__atomic_load_n(&state->resumed, __ATOMIC_SEQ_CST);
	return state->stopped && (state->held || (is_restore(paged) && !paged->restore_in_bpf));
}

/* ---- the pages of an operation ---- */

static int put_on_list(struct paged_engine *paged, uint32_t index)
{
	if (paged->listed == paged->list_room) {
		uint32_t room = paged->list_room ? 2 * paged->list_room : 1024;
		uint32_t *list = reallocarray(paged->list, room, sizeof(*list));

		if (!list)
			return -ENOMEM;
		paged->list = list;
		paged->list_room = room;
	}
	paged->list[paged->listed++] = index;
	slab_at(paged, index)->flags = SLAB_LISTED;
	return 0;
}

static void clear_list(struct paged_engine *paged)
{
	for (uint32_t i = 0; i < paged->listed; i++)
		slab_at(paged, paged->list[i])->flags = 0;
	paged->listed = 0;
}

/* Counts a round in which the page was dirty. Is it hot? One that is must prove it now and then. */
static bool is_hot(const struct paged_engine *paged, struct slab *slab)
{
	if ((uint8_t)(slab->round + 1) == paged->round)
		slab->rounds++;
	else if (slab->round != paged->round)
		slab->rounds = 1;
	slab->round = paged->round;
	if (slab->rounds >= HOT_ROUNDS + HOT_REST)
		slab->rounds = HOT_ROUNDS - 1;
	return slab->rounds >= HOT_ROUNDS;
}

/* The next checkpoint is to read the page into a new slot; the old one stays what it is. */
static int make_due(struct paged_engine *paged, uint32_t index)
{
	struct slab *slab = slab_at(paged, index);
	int err = revisions__keep(&paged->revisions, &paged->table, index);

	if (err)
		return err;
	slab->slot = NO_SLOT;
	slab->checksum = 0;
	slab->state = SLAB_DUE;
	return paged->ops->take_slot(paged, slab);
}

/* An entry for a page that the snapshot does not have: at the checkpoint, it was zeros. */
static int add_page(struct paged_engine *paged, uint64_t address, uint32_t *ret_index)
{
	bool due = !is_restore(paged);
	int err = slab_table__append(&paged->table, address, due ? SLAB_DUE : SLAB_ZERO, ret_index);

	if (err)
		return err;
	if (due)
		err = paged->ops->take_slot(paged, slab_at(paged, *ret_index));
	else
		err = intervals__add(&paged->added, address, address + SLAB_BYTES);
	if (err)
		return err;
	return intervals__add(&paged->known, address, address + SLAB_BYTES);
}

static int add_pages(struct paged_engine *paged, const struct intervals *pages)
{
	int err = 0;

	for (size_t i = 0; i < pages->count && !err; i++)
		for (uint64_t page = pages->items[i].start; page < pages->items[i].end && !err;
		     page += SLAB_BYTES) {
			uint32_t index;

			err = add_page(paged, page, &index);
			if (!err && paged->narrow)
				err = put_on_list(paged, index);
		}
	return err;
}

/* Lists a page that may differ, if the snapshot has it. */
static int list_page(struct paged_engine *paged, uint64_t address)
{
	uint32_t index = slab_table__find(&paged->table, address);
	int err;

	if (index == NO_SLAB)
		return 0;
	if (is_hot(paged, slab_at(paged, index))) {
		err = intervals__add(&paged->hot, address, address + SLAB_BYTES);
		if (err)
			return err;
	}
	if (!is_restore(paged)) {
		err = make_due(paged, index);
		if (err)
			return err;
	}
	return put_on_list(paged, index);
}

/* Lists a page that holds no data any more: a checkpoint need not read it. One that was zeros is
 * right as it is. */
static int list_empty(struct paged_engine *paged, uint64_t address)
{
	uint32_t index = slab_table__find(&paged->table, address);
	struct slab *slab;
	int err;

	if (index == NO_SLAB || slab_at(paged, index)->state != SLAB_PRESENT)
		return 0;
	if (is_restore(paged))
		return put_on_list(paged, index);
	err = revisions__keep(&paged->revisions, &paged->table, index);
	if (err)
		return err;
	slab = slab_at(paged, index);
	slab->slot = NO_SLOT;
	slab->checksum = 0;
	slab->state = SLAB_ZERO;
	return 0;
}

static int for_each_page(struct paged_engine *paged, const struct intervals *pages,
			 int (*each)(struct paged_engine *paged, uint64_t address))
{
	int err = 0;

	for (size_t i = 0; i < pages->count && !err; i++)
		for (uint64_t page = pages->items[i].start; page < pages->items[i].end && !err;
		     page += SLAB_BYTES)
			err = each(paged, page);
	return err;
}

/* ---- before a copy ---- */

static int find_wanted(const struct paged_engine *paged, struct intervals *ret)
{
	int err = intervals__copy(&paged->engine.ranges, ret);

	return err ? err : intervals__unite(ret, &paged->engine.reserved);
}

/* Arms pages that a checkpoint is about to read. To clear soft-dirty bits counts as a change of
 * mappings since Linux 6.4, so that the checkpoint begins again. Then it is done already. */
static int arm_first(struct paged_engine *paged, struct memory *memory,
		     const struct intervals *pages)
{
	if (paged->again && dirty_pages__needs_stop(&paged->dirty))
		return 0;
	return dirty_pages__arm(&paged->dirty, memory, pages);
}

/* A checkpoint of everything. The pages are armed before they are read: what is written meanwhile
 * counts as written since. */
static int begin_whole(struct paged_engine *paged, struct memory *memory)
{
	uint32_t index;
	int err;

	clear(paged);
	paged->replaced = true;
	paged->engine.state->valid = 0;
	err = find_wanted(paged, &paged->saved);
	if (err)
		return err;
	if (paged->tracked) {
		dirty_pages__begin(&paged->dirty);
		err = arm_first(paged, memory, &paged->saved);
		if (err)
			return err;
		err = dirty_pages__cover(&paged->dirty, memory, &paged->saved);
		if (err)
			return err;
	}
	err = find_pages(memory, &paged->saved, &paged->known);
	if (err)
		return err;
	if (intervals__bytes(&paged->known) > (uint64_t)EXTENTS * EXTENT_SLABS * SLAB_BYTES)
		return -REASON_SLAB_LIMIT;
	err = paged->ops->reserve(paged, intervals__bytes(&paged->known) / SLAB_BYTES);
	if (err)
		return err;
	err = extents__fit_slabs(&paged->extents, intervals__bytes(&paged->known) / SLAB_BYTES);
	if (err)
		return err;
	for (size_t i = 0; i < paged->known.count; i++)
		for (uint64_t page = paged->known.items[i].start; page < paged->known.items[i].end;
		     page += SLAB_BYTES) {
			err = slab_table__append(&paged->table, page, SLAB_DUE, &index);
			if (err)
				return err;
		}
	return 0;
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
	err = dirty_pages__ask(dirty, memory, &paged->saved, &paged->known);
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

/* Arms the pages of the operation, but not the hot ones. */
static int arm(struct paged_engine *paged, struct memory *memory)
{
	struct intervals cold = {0};
	int err = intervals__subtract(&paged->pending, &paged->hot, &cold);

	if (err)
		return err;
	if (is_restore(paged))
		err = dirty_pages__arm(&paged->dirty, memory, &cold);
	else
		err = arm_first(paged, memory, &cold);
	intervals__clear(&cold);
	return err;
}

/* Makes room for new slots of these pages. */
static int reserve_more(struct paged_engine *paged, const struct intervals *pages)
{
	return paged->ops->reserve(paged, paged->engine.state->slots +
						  intervals__bytes(pages) / SLAB_BYTES);
}

static int list_answer(struct paged_engine *paged)
{
	struct intervals fresh = {0};
	int err = for_each_page(paged, &paged->dirty.written, list_page);

	if (err)
		goto out;
	err = for_each_page(paged, &paged->dirty.missing, list_empty);
	if (err)
		goto out;
	err = intervals__subtract(&paged->dirty.written, &paged->known, &fresh);
	if (err)
		goto out;
	err = add_pages(paged, &fresh);
out:
	intervals__clear(&fresh);
	return err;
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
		err = drop_saved(paged, gone.items[i].start, gone.items[i].end);
	if (err)
		goto out;
	err = intervals__subtract(&wanted, &paged->saved, &come);
	if (err)
		goto out;
	err = dirty_pages__cover(&paged->dirty, memory, &wanted);
	if (err)
		goto out;
	err = find_pages(memory, &come, &pages);
	if (err)
		goto out;
	err = intervals__unite(&paged->saved, &come);
	if (err)
		goto out;
	err = intervals__unite(&paged->pending, &pages);
	if (err)
		goto out;
	err = reserve_more(paged, &pages);
	if (err)
		goto out;
	err = add_pages(paged, &pages);
out:
	intervals__clear(&wanted);
	intervals__clear(&gone);
	intervals__clear(&come);
	intervals__clear(&pages);
	return err;
}

/* A checkpoint of the pages that may differ from the one before. They are armed first: what is
 * written meanwhile counts as written since. */
static int begin_changes(struct paged_engine *paged, struct target *target)
{
	int err = revisions__begin(&paged->revisions, &paged->table, &paged->saved);

	if (err)
		return err;
	paged->narrow = true;
	err = reserve_more(paged, &paged->pending);
	if (err)
		return err;
	err = list_answer(paged);
	if (err)
		return err;
	err = arm(paged, target->memory);
	if (err)
		return err;
	err = fault__pass("armed", target->pid);
	if (err)
		return err;
	return change_ranges(paged, target->memory);
}

/* Are most pages dirty? Then to track them costs more than it spares, above all in the target. */
static bool is_crowded(struct paged_engine *paged)
{
	uint64_t dirty = intervals__bytes(&paged->pending) / SLAB_BYTES;
	uint64_t pages = slab_table__pages(&paged->table);

	if (dirty <= TRACKED_PAGES || dirty <= pages / 2) {
		if (paged->is_round)
			paged->crowded = paged->rests = 0;
		return false;
	}
	if (++paged->crowded >= CROWDED) {
		intervals__clear(&paged->dirty.armed);
		paged->rest = CROWD_REST << paged->rests;
		if (paged->rests < MOST_RESTS)
			paged->rests++;
		paged->crowded = 0;
		paged->tracked = false;
	}
	return true;
}

static int begin_checkpoint(struct paged_engine *paged, struct target *target)
{
	struct memory *memory = target->memory;
	int err;

	if (!paged->tracked || !paged->whole || !paged->ops->take_slot)
		return begin_whole(paged, memory);
	err = slab_table__tidy(&paged->table, give_slot, paged);
	if (err)
		return err;
	err = ask(paged, memory);
	if (err)
		return err;
	return is_crowded(paged) ? begin_whole(paged, memory) : begin_changes(paged, target);
}

/* Pages that hold data now and did not at the checkpoint are to read as zeros. */
static int begin_restore_whole(struct paged_engine *paged, struct memory *memory)
{
	struct intervals now = {0}, since = {0};
	int err = find_pages(memory, &paged->saved, &now);

	if (err)
		goto out;
	err = intervals__subtract(&now, &paged->known, &since);
	if (err)
		goto out;
	err = add_pages(paged, &since);
out:
	intervals__clear(&now);
	intervals__clear(&since);
	return err;
}

static int begin_restore(struct paged_engine *paged, struct memory *memory)
{
	int err;

	if (!paged->tracked)
		return begin_restore_whole(paged, memory);
	err = ask(paged, memory);
	if (err)
		return err;
	if (is_crowded(paged) && !paged->tracked)
		return begin_restore_whole(paged, memory);
	paged->narrow = true;
	err = list_answer(paged);
	if (err)
		return err;
	if (paged->restore_all || paged->listed > SLABS_LISTED) {
		clear_list(paged);
		paged->narrow = false;
	}
	return 0;
}

/* What the operation before has left: a checkpoint that has failed is taken back. */
static int end_last(struct paged_engine *paged)
{
	bool failed = paged->revisions.begun && !paged->committed;
	int err = 0;

	clear_list(paged);
	intervals__clear(&paged->hot);
	paged->narrow = false;
	if (failed)
		err = revisions__revert(&paged->revisions, &paged->table, &paged->saved,
					&paged->known, give_slot, paged);
	else if (paged->revisions.begun)
		revisions__forget(&paged->revisions, give_slot, paged);
	if (paged->committed) {
		intervals__clear(&paged->pending);
		intervals__clear(&paged->added);
	}
	paged->committed = paged->replaced = false;
	if (err)
		clear(paged);
	return err;
}

/* A checkpoint just after a restore finds few dirty pages: only other operations are rounds. */
static void begin_round(struct paged_engine *paged)
{
	paged->again = paged->sequence == paged->engine.state->operation.sequence;
	if (paged->again)
		return;
	paged->sequence = paged->engine.state->operation.sequence;
	paged->is_round = is_restore(paged) || !paged->was_restored;
	if (paged->is_round)
		paged->round++;
	paged->was_restored = is_restore(paged);
	if (paged->rest)
		paged->rest--;
}

int paged_engine__begin(struct engine *engine, struct target *target, enum operation_kind kind)
{
	struct paged_engine *paged = paged_engine__of(engine);
	struct state *state = engine->state;
	int err;

	err = end_last(paged);
	if (err)
		goto out;
	begin_round(paged);
	paged->tracked = false;
	if (!state->has_slabs && !state->slabs)
		return 0;
	paged->tracked = dirty_pages__is_tracking(&paged->dirty) && !paged->rest &&
			 (kind == OPERATION_CHECKPOINT || paged->dirty.armed.count);
	paged->unsure = false;
	state->left = state->resumed = 0;
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
	paged->visited = paged_engine__visits(paged);
	paged->found = paged->narrow ? paged->dirty.found : DIRTY_COMPARE;
	if (paged->narrow)
		state->operation.clean +=
			(uint64_t)(slab_table__pages(&paged->table) - paged->listed) * SLAB_CHUNKS;
	if (!is_still(paged, target))
		dirty_pages__doubt(&paged->dirty);
	err = paged->ops->lay_out(paged, kind);
out:
	if (err && paged->replaced)
		clear(paged);
	return err;
}

/* ---- after a copy ---- */

/* Slots that pages of zeros do not need. */
static void give_back_slots(struct paged_engine *paged)
{
	for (uint32_t i = 0; i < paged->listed; i++) {
		struct slab *slab = slab_at(paged, paged->list[i]);

		if (slab->state == SLAB_ZERO && slab->slot != NO_SLOT)
			give_slot(slab, paged);
	}
}

/* The bytes that a page had at the checkpoint. */
static int saved_bytes(struct paged_engine *paged, const struct slab *slab, uint32_t place,
		       uint8_t **ret_bytes)
{
	static uint8_t zeros[SLAB_BYTES]; /* never written to */

	if (slab->state == SLAB_PRESENT)
		return paged->ops->fetch(paged, slab, place, ret_bytes);
	*ret_bytes = zeros;
	return 0;
}

/* A page of the snapshot differs from memory, though the copy is done: it is left to the repair. */
static int flag_page(struct paged_engine *paged, uint32_t index)
{
	struct operation *operation = &paged->engine.state->operation;
	struct slab *slab = slab_at(paged, index);
	bool listed = slab->flags & SLAB_LISTED;
	int err;

	if (slab->flags & (SLAB_DIRTY | SLAB_FAILED))
		return 0;
	if (is_restore(paged)) {
		if (paged->narrow && !listed) {
			err = put_on_list(paged, index);
			if (err)
				return err;
			operation->clean -= SLAB_CHUNKS;
			operation->unwritten += SLAB_CHUNKS;
		}
		paged_engine__flag(paged, slab, SLAB_DIRTY);
		return 0;
	}
	if (!listed) {
		err = make_due(paged, index);
		if (!err)
			err = put_on_list(paged, index);
		if (err)
			return err;
	}
	*(listed ? &operation->copied : &operation->clean) -= SLAB_CHUNKS;
	operation->absent += SLAB_CHUNKS;
	paged_engine__flag(paged, slab, SLAB_FAILED);
	return 0;
}

/* Flags a page, or only remembers that it may differ. */
static int note_page(struct paged_engine *paged, uint32_t index, bool flag)
{
	uint64_t address = slab_at(paged, index)->address;

	if (flag)
		return flag_page(paged, index);
	return intervals__add(&paged->later, address, address + SLAB_BYTES);
}

static int compare_page(struct paged_engine *paged, uint64_t address, const uint8_t *bytes,
			bool flag)
{
	uint32_t index = slab_table__find(&paged->table, address);
	uint8_t *saved;
	int err;

	if (index == NO_SLAB || slab_at(paged, index)->flags & (SLAB_DIRTY | SLAB_FAILED))
		return 0;
	err = saved_bytes(paged, slab_at(paged, index), 0, &saved);
	if (err || !memcmp(saved, bytes, SLAB_BYTES))
		return err;
	return note_page(paged, index, flag);
}

/* Notes the pages of [start, end), at most READ_PAGES, that differ. */
static int compare_piece(struct paged_engine *paged, struct memory *memory, uint64_t start,
			 uint64_t end, bool flag)
{
	static uint8_t bytes[READ_PAGES * SLAB_BYTES];
	int err = memory__read(memory, start, bytes, end - start);

	if (err == -ESRCH)
		return err;
	if (err && end - start > SLAB_BYTES) { /* one of them cannot be read */
		for (err = 0; start < end && !err; start += SLAB_BYTES)
			err = compare_piece(paged, memory, start, start + SLAB_BYTES, flag);
		return err;
	}
	if (err) {
		uint32_t index = slab_table__find(&paged->table, start);

		return index == NO_SLAB ? 0 : note_page(paged, index, flag);
	}
	for (const uint8_t *page = bytes; start < end && !err;
	     start += SLAB_BYTES, page += SLAB_BYTES)
		err = compare_page(paged, start, page, flag);
	return err;
}

static int compare_pages(struct paged_engine *paged, struct memory *memory,
			 const struct intervals *pages, bool flag)
{
	const uint64_t most = (uint64_t)READ_PAGES * SLAB_BYTES;
	int err = 0;

	for (size_t i = 0; i < pages->count && !err; i++) {
		const struct interval *run = &pages->items[i];

		for (uint64_t at = run->start; at < run->end && !err; at += most)
			err = compare_piece(paged, memory, at,
					    run->end - at < most ? run->end : at + most, flag);
	}
	return err;
}

static int flag_empty(struct paged_engine *paged, uint64_t address)
{
	uint32_t index = slab_table__find(&paged->table, address);

	if (index == NO_SLAB || slab_at(paged, index)->state != SLAB_PRESENT)
		return 0;
	return flag_page(paged, index);
}

/* Pages that were touched since the operation has begun, and that it does not have. */
static int flag_fresh(struct paged_engine *paged, const struct intervals *fresh)
{
	struct operation *operation = &paged->engine.state->operation;
	uint32_t before = paged->engine.state->slabs;
	int err = add_pages(paged, fresh);

	for (uint32_t i = before; i < paged->engine.state->slabs; i++) {
		paged_engine__flag(paged, slab_at(paged, i),
				   is_restore(paged) ? SLAB_DIRTY : SLAB_FAILED);
		*(is_restore(paged) ? &operation->unwritten : &operation->absent) += SLAB_CHUNKS;
	}
	return err;
}

/* The target has run since the preparation: flags the pages that are not right any more. */
static int look_again(struct paged_engine *paged, const struct target *target)
{
	struct dirty_pages *dirty = &paged->dirty;
	struct memory *memory = target->memory;
	struct intervals fresh = {0};
	int err = dirty_pages__ask(dirty, memory, &paged->saved, &paged->known);

	if (err)
		goto out;
	if (!is_still(paged, target))
		dirty_pages__doubt(dirty);
	/* of a restore that is armed already, the pages of the list, too */
	err = is_restore(paged) ? intervals__unite(&dirty->written, &paged->pending) : 0;
	if (err)
		goto out;
	err = intervals__unite(&paged->pending, &dirty->written);
	if (err)
		goto out;
	err = intervals__unite(&paged->pending, &dirty->missing);
	if (err)
		goto out;
	err = intervals__subtract(&dirty->written, &paged->known, &fresh);
	if (err)
		goto out;
	err = compare_pages(paged, memory, &dirty->written, true);
	if (err)
		goto out;
	err = for_each_page(paged, &dirty->missing, flag_empty);
	if (err)
		goto out;
	err = flag_fresh(paged, &fresh);
out:
	intervals__clear(&fresh);
	return err;
}

/* Where the target stands still since it was asked, nothing is to be done. */
int paged_engine__collect(struct engine *engine, struct target *target)
{
	struct paged_engine *paged = paged_engine__of(engine);
	const struct state *state = engine->state;
	int err = 0;

	give_back_slots(paged);
	intervals__clear(&paged->later);
	if (paged->revisions.begun)
		err = fault__pass("changed", target->pid);
	if (err)
		return err;
	if (!paged->tracked)
		return 0;
	if (is_restore(paged) && !target->held) {
		err = arm(paged, target->memory);
		if (err)
			return err;
		if (!is_still(paged, target))
			dirty_pages__doubt(&paged->dirty);
		if (__atomic_load_n(&state->resumed, __ATOMIC_SEQ_CST) && !state->left)
			return compare_pages(paged, target->memory, &paged->pending, false);
	}
	if (!paged->narrow || !state->left)
		return 0;
	paged->unsure = !target->held;
	return look_again(paged, target);
}

static bool is_due(const struct slab *slab, struct memory *memory)
{
	return slab->flags & SLAB_DIRTY ||
	       (slab->flags & SLAB_FAILED && memory__holds_data(memory, slab->address));
}

/* Pages without data a checkpoint saves as zeros: for that the target may run. */
bool paged_engine__is_left(struct engine *engine, struct target *target)
{
	struct paged_engine *paged = paged_engine__of(engine);

	if (!engine->state->operation.slab_flags)
		return false;
	for (uint32_t i = 0; i < paged_engine__visits(paged); i++)
		if (is_due(paged_engine__visited(paged, i), target->memory))
			return true;
	return false;
}

static bool is_zero(const uint8_t *bytes)
{
	return !bytes[0] && !memcmp(bytes, bytes + 1, SLAB_BYTES - 1);
}

static void set_zero(struct paged_engine *paged, struct slab *slab)
{
	give_slot(slab, paged);
	slab->state = SLAB_ZERO;
}

static int read_page(struct paged_engine *paged, struct memory *memory, struct slab *slab,
		     struct engine_result *result)
{
	uint8_t *bytes;
	int err;

	if (!memory__holds_data(memory, slab->address)) {
		set_zero(paged, slab);
		return 0;
	}
	err = paged->ops->next(paged, slab, &bytes);
	if (err)
		return err;
	err = memory__read(memory, slab->address, bytes, SLAB_BYTES);
	if (err == -ESRCH)
		return err;
	if (err) {
		slab->state = SLAB_UNREADABLE;
		result->failed += SLAB_CHUNKS;
		return 0;
	}
	result->moved += SLAB_CHUNKS;
	result->forced += SLAB_CHUNKS;
	if (is_zero(bytes)) {
		set_zero(paged, slab);
		return 0;
	}
	err = paged->ops->keep(paged, slab, bytes);
	if (err)
		return err;
	slab->checksum = paged->verify ? slab_checksum((const __u64 *)bytes) : 0;
	slab->state = SLAB_PRESENT;
	return 0;
}

static int repair_checkpoint(struct paged_engine *paged, struct memory *memory,
			     struct engine_result *result)
{
	int err = 0;

	for (uint32_t i = 0; i < paged_engine__visits(paged) && !err; i++) {
		struct slab *slab = paged_engine__visited(paged, i);

		if (slab->flags & SLAB_FAILED)
			err = read_page(paged, memory, slab, result);
	}
	return err;
}

static int write_batch(struct paged_engine *paged, struct memory *memory,
		       struct engine_result *result)
{
	uint64_t bytes, forced, failed;
	int err = write_batch__write(&paged->batch, memory, &bytes, &forced, &failed);

	result->moved += (bytes - failed) / CHUNK_BYTES;
	result->forced += forced / CHUNK_BYTES;
	result->failed += failed / CHUNK_BYTES;
	return err == -EFAULT ? 0 : err;
}

static int repair_restore(struct paged_engine *paged, struct memory *memory,
			  struct engine_result *result)
{
	uint32_t fetched = 0;
	int err;

	write_batch__forget(&paged->batch); /* of a restore that has failed */
	for (uint32_t i = 0; i < paged_engine__visits(paged); i++) {
		const struct slab *slab = paged_engine__visited(paged, i);
		uint8_t *bytes;

		if (!is_due(slab, memory))
			continue;
		if (paged->places && fetched == paged->places) {
			err = write_batch(paged, memory, result);
			if (err)
				return err;
			fetched = 0;
		}
		err = saved_bytes(paged, slab, fetched++, &bytes);
		if (err)
			return err;
		err = write_batch__add(&paged->batch, bytes, slab->address, SLAB_BYTES);
		if (err)
			return err;
	}
	return write_batch(paged, memory, result);
}

int paged_engine__repair(struct engine *engine, struct target *target, struct engine_result *result)
{
	struct paged_engine *paged = paged_engine__of(engine);
	int err;

	if (!engine->state->operation.slab_flags)
		return 0;
	if (paged->unsure && target->held) {
		err = look_again(paged, target);
		if (err)
			return err;
	}
	if (!is_restore(paged))
		return repair_checkpoint(paged, target->memory, result);
	return repair_restore(paged, target->memory, result);
}

int paged_engine__settle(struct engine *engine, struct target *target, bool good)
{
	struct paged_engine *paged = paged_engine__of(engine);
	int err;

	if (!is_restore(paged))
		return 0;
	if (paged->tracked && target->held) {
		err = arm(paged, target->memory);
		if (err)
			return err;
	}
	if (!good)
		return 0;
	intervals__clear(&paged->pending);
	paged->pending = paged->later;
	paged->later = (struct intervals){0};
	return 0;
}

void paged_engine__commit(struct engine *engine)
{
	struct paged_engine *paged = paged_engine__of(engine);

	paged->whole = paged->committed = true;
}

bool paged_engine__revert(struct engine *engine)
{
	struct paged_engine *paged = paged_engine__of(engine);

	paged->committed = false;
	if (paged->replaced)
		paged->whole = false;
	return paged->whole && !end_last(paged);
}

/* ---- what is saved ---- */

int paged_engine__visit(struct engine *engine, block_visitor *each, void *argument)
{
	static const enum block_state states[] = {[SLAB_DUE] = BLOCK_EMPTY,
						  [SLAB_PRESENT] = BLOCK_PRESENT,
						  [SLAB_ZERO] = BLOCK_ZERO,
						  [SLAB_UNREADABLE] = BLOCK_UNREADABLE};
	struct paged_engine *paged = paged_engine__of(engine);

	for (uint32_t i = 0; i < engine->state->slabs; i++) {
		const struct slab *slab = slab_at(paged, i);
		struct block block = {.engine = engine,
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
			block.bytes = bytes;
		}
		each(&block, argument);
	}
	return 0;
}

int paged_engine__read(struct engine *engine, uint64_t address, const uint8_t **ret_bytes)
{
	struct paged_engine *paged = paged_engine__of(engine);
	uint32_t index = slab_table__find(&paged->table, address);
	uint8_t *bytes;
	int err;

	if (index == NO_SLAB)
		return -ENOENT;
	err = saved_bytes(paged, slab_at(paged, index), 0, &bytes);
	if (!err)
		*ret_bytes = bytes;
	return err;
}

uint64_t paged_engine__added(const struct engine *engine)
{
	return intervals__bytes(&paged_engine__of(engine)->added) / CHUNK_BYTES;
}

enum dirty_way paged_engine__dirty(const struct engine *engine, uint64_t *ret_pages)
{
	const struct paged_engine *paged = paged_engine__of(engine);

	*ret_pages = paged->visited;
	return paged->found;
}

struct slab *paged_engine__first_present(const struct paged_engine *paged)
{
	for (uint32_t i = 0; i < paged->engine.state->slabs; i++)
		if (slab_at(paged, i)->state == SLAB_PRESENT)
			return slab_at(paged, i);
	return NULL;
}

/* ---- beginning and end ---- */

void paged_engine__watch(struct engine *engine, struct target *target, uint64_t pages)
{
	struct paged_engine *paged = paged_engine__of(engine);

	if (pages >= TRACKED_PAGES || paged->dirty.wish > DIRTY_AUTO)
		dirty_pages__choose(&paged->dirty, target, pages);
	engine->state->held = dirty_pages__needs_stop(&paged->dirty);
}

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
	clear(paged);
	dirty_pages__close(&paged->dirty);
	extents__close(&paged->extents);
	intervals__clear(&paged->engine.ranges);
	intervals__clear(&paged->engine.reserved);
	intervals__clear(&paged->later);
	write_batch__clear(&paged->batch);
	free(paged->list);
}
