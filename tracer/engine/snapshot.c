/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See snapshot.h. Nothing here knows how an engine holds its bytes.
 */
#include "engine/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/page.h"
#include "engine/chunk_engine.h"
#include "engine/page_engine.h"
#include "engine/slab_engine.h"
#include "target/fault_injection.h"
#include "target/reason.h"

struct snapshot {
	struct state *state;
	struct engine *chunks; /* what is less than a page, or below the threshold */
	struct engine *pages;  /* whole pages */
	struct engine *both[2];
	uint64_t slab_threshold;
	uint64_t saved;        /* chunks in the snapshot */
	uint64_t saved_before; /* the last checkpoint */
	uint64_t begun;        /* sequence of the operation that was begun last */
	bool whole;            /* there is a snapshot that can be restored */
	uint64_t committed;    /* of the checkpoint that became whole last */
	uint64_t events_lost;  /* of the kernel side's counter, as dealt with */
};

int snapshot__open(const struct snapshot_settings *settings, const struct hooks *hooks,
		   struct state *state, struct snapshot **ret_snapshot)
{
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
	bool told = false;
	int err;

	if (!snapshot) {
		log__error("cannot set up a snapshot: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	snapshot->state = state;
	snapshot->slab_threshold = settings->slab_threshold;
	err = chunk_engine__open(hooks, state, settings->ready_chunks, settings->max_chunks,
				 &snapshot->chunks);
	if (err)
		goto out;
	if (settings->paged.pages_per_poll) {
		err = page_engine__open(hooks, state, &settings->paged, &snapshot->pages);
		told = err != -ENOMEM;
	} else {
		err = slab_engine__open(hooks, state, &settings->paged, &snapshot->pages);
	}
out:
	if (err) {
		if (!told)
			log__error("cannot set up a snapshot: %s", reason__text(err));
		snapshot__free(snapshot);
		return err;
	}
	snapshot->both[0] = snapshot->chunks;
	snapshot->both[1] = snapshot->pages;
	*ret_snapshot = snapshot;
	return 0;
}

/* The engines, one after the other; for (int i = 0; (engine = next(snapshot, &i));) */
static struct engine *next(const struct snapshot *snapshot, int *i)
{
	return *i < 2 ? snapshot->both[(*i)++] : NULL;
}

int snapshot__note(struct snapshot *snapshot, const struct event *event)
{
	struct engine *engine;
	int err = 0;

	if (event->kind == EVENT_EXEC || event->kind == EVENT_LOST)
		snapshot->whole = false;
	if (event->kind == EVENT_LOST)
		snapshot->state->valid = 0;
	for (int i = 0; !err && (engine = next(snapshot, &i));)
		err = engine->ops->note(engine, event);
	return err;
}

/* ---- ranges ---- */

int snapshot__ranges(const struct snapshot *snapshot, bool with_reserved, struct intervals *ranges)
{
	const struct engine *engine;
	int err = 0;

	for (int i = 0; !err && (engine = next(snapshot, &i));) {
		err = intervals__unite(ranges, &engine->ranges);
		if (!err && with_reserved)
			err = intervals__unite(ranges, &engine->reserved);
	}
	return err;
}

size_t snapshot__range_count(const struct snapshot *snapshot)
{
	const struct engine *engine;
	size_t count = 0;

	for (int i = 0; (engine = next(snapshot, &i));)
		count += engine->ranges.count;
	return count;
}

bool snapshot__uses_list(const struct snapshot *snapshot)
{
	return snapshot->pages->ops->pages->uses_list(snapshot->pages);
}

uint64_t snapshot__chunk_count(const struct snapshot *snapshot)
{
	return chunk_engine__chunks(&snapshot->chunks->ranges);
}

uint64_t snapshot__visit_count(const struct snapshot *snapshot)
{
	return snapshot->state->visits;
}

bool snapshot__keeps_pages(const struct snapshot *snapshot)
{
	return snapshot->state->has_slabs != 0;
}

/* Splits what is wanted between both engines. */
static int sort(const struct snapshot *snapshot, const struct intervals *wanted,
		struct intervals *ret_small, struct intervals *ret_large)
{
	for (size_t i = 0; i < wanted->count; i++) {
		uint64_t start = wanted->items[i].start, end = wanted->items[i].end;
		uint64_t page = page__round_up(start);
		bool has_pages = end - start >= snapshot->slab_threshold && page < end;
		int err = intervals__add(ret_small, start, has_pages ? page : end);

		if (err)
			return err;
		if (has_pages)
			err = intervals__add(ret_large, page, end);
		if (err)
			return err;
	}
	return 0;
}

static int place(struct snapshot *snapshot, const struct intervals *wanted,
		 const struct intervals *reserved)
{
	struct engine *pages = snapshot->pages;
	struct intervals small = {0}, large = {0}, rest = {0};
	int err = sort(snapshot, wanted, &small, &large);

	if (err)
		goto out;
	err = intervals__subtract(reserved, wanted, &rest);
	if (err)
		goto out;
	err = snapshot->chunks->ops->place(snapshot->chunks, OPERATION_CHECKPOINT, &small, &rest);
	if (err)
		goto out;
	err = pages->ops->place(pages, OPERATION_CHECKPOINT, &large, &rest);
	if (err)
		goto out;
	snapshot->state->unplaced = 0;
out:
	intervals__clear(&small);
	intervals__clear(&large);
	intervals__clear(&rest);
	return err;
}

/* Is something wanted that no engine keeps? A restore must leave it alone, but from then on nobody
 * else remembers that the next checkpoint has to place it. */
static int look_for_unplaced(struct snapshot *snapshot, const struct intervals *wanted)
{
	struct intervals ranges = {0}, missing = {0};
	int err = snapshot__ranges(snapshot, false, &ranges);

	if (err)
		goto out;
	err = intervals__subtract(wanted, &ranges, &missing);
	if (missing.count)
		snapshot->state->unplaced = 1;
out:
	intervals__clear(&ranges);
	intervals__clear(&missing);
	return err;
}

static int prune(struct snapshot *snapshot, const struct intervals *wanted,
		 const struct intervals *reserved)
{
	struct engine *engine;
	int err = 0;

	for (int i = 0; !err && (engine = next(snapshot, &i));)
		err = engine->ops->place(engine, OPERATION_RESTORE, wanted, reserved);
	return err;
}

int snapshot__reconcile(struct snapshot *snapshot, struct target *target, enum operation_kind kind)
{
	uint64_t lost =
		__atomic_load_n(&snapshot->state->counters[COUNTER_EVENTS_LOST], __ATOMIC_ACQUIRE);
	struct intervals ranges = {0}, wanted = {0}, reserved = {0};
	bool forgotten = lost != snapshot->events_lost;
	int err = forgotten ? snapshot__note(snapshot, &(struct event){.kind = EVENT_LOST}) : 0;

	if (err)
		goto out;
	err = snapshot__ranges(snapshot, false, &ranges);
	if (err)
		goto out;
	err = target__wanted(target, &ranges, &wanted, &reserved);
	if (err)
		goto out;
	if (kind == OPERATION_CHECKPOINT || forgotten)
		err = place(snapshot, &wanted, &reserved);
	else
		err = prune(snapshot, &wanted, &reserved);
	if (err)
		goto out;
	if (kind == OPERATION_RESTORE)
		err = look_for_unplaced(snapshot, &wanted);
	if (err)
		goto out;
	snapshot->events_lost = lost;
	err = forgotten ? -REASON_EVENTS_LOST : 0;
out:
	intervals__clear(&ranges);
	intervals__clear(&wanted);
	intervals__clear(&reserved);
	return err;
}

/* ---- copies ---- */

/* Pages that would have to be kept now: an estimate, for the target runs. */
static int count_pages(const struct snapshot *snapshot, struct target *target, uint64_t *ret_pages)
{
	struct intervals wanted = {0}, small = {0}, large = {0}, pages = {0};
	bool changed = target->changed;
	int err = target__wanted(target, &snapshot->pages->ranges, &wanted, NULL);

	target->changed = changed; /* the next copy looks again, when the target stands still */
	if (err)
		goto out;
	err = sort(snapshot, &wanted, &small, &large);
	if (err)
		goto out;
	err = memory__all_data_pages(target->memory, &large, &pages);
	if (err)
		goto out;
	*ret_pages = intervals__bytes(&pages) / PAGE_BYTES;
out:
	intervals__clear(&wanted);
	intervals__clear(&small);
	intervals__clear(&large);
	intervals__clear(&pages);
	return err;
}

void snapshot__watch(struct snapshot *snapshot, struct target *target)
{
	uint64_t pages = snapshot->state->slabs;

	if (snapshot->slab_threshold == UINT64_MAX ||
	    (!pages && count_pages(snapshot, target, &pages)))
		return;
	snapshot->pages->ops->pages->watch(snapshot->pages, target, pages);
}

void snapshot__leave_tracking(struct snapshot *snapshot)
{
	snapshot->pages->ops->pages->leave_tracking(snapshot->pages);
}

/* A checkpoint that was not finished leaves the snapshot before it, if all of that is there. */
static void take_back(struct snapshot *snapshot)
{
	struct engine *engine;

	for (int i = 0; (engine = next(snapshot, &i));)
		if (!engine->ops->end(engine, false))
			snapshot->whole = false;
	snapshot->state->valid = snapshot->whole;
}

bool snapshot__is_whole(struct snapshot *snapshot)
{
	if (snapshot->whole && !snapshot->state->valid)
		take_back(snapshot);
	return snapshot->whole;
}

int snapshot__begin(struct snapshot *snapshot, struct target *target, enum operation_kind kind)
{
	struct engine *engine;
	int err = 0;

	(void)snapshot__is_whole(snapshot);
	snapshot->begun = snapshot->state->operation.sequence;
	for (int i = 0; !err && (engine = next(snapshot, &i));)
		if (engine->ops->begin)
			err = engine->ops->begin(engine, target, kind);
	return err;
}

bool snapshot__is_left(const struct snapshot *snapshot)
{
	const struct engine *engine;
	bool left = false;

	for (int i = 0; !left && (engine = next(snapshot, &i));)
		left = engine->ops->is_left(engine);
	return left;
}

bool snapshot__needs_hold(const struct snapshot *snapshot, struct target *target)
{
	struct engine *engine;
	bool due = false;

	for (int i = 0; !due && (engine = next(snapshot, &i));)
		due = engine->ops->needs_hold(engine, target);
	return due;
}

/* Before the target's memory is read or written. */
static int hold(const struct snapshot *snapshot, struct target *target)
{
	int err = snapshot->state->operation.kind == OPERATION_RESTORE
			  ? fault_injection__pass("restore", target->pid)
			  : 0;

	if (err)
		return err;
	err = target__hold(target);
	return err ? err : fault_injection__pass("repair", target->pid);
}

int snapshot__repair(struct snapshot *snapshot, struct target *target,
		     struct engine_result *ret_result)
{
	struct engine *engine;
	int err = 0;

	for (int i = 0; !err && (engine = next(snapshot, &i));)
		if (engine->ops->collect)
			err = engine->ops->collect(engine, target);
	if (err)
		return err;
	if (snapshot__is_left(snapshot))
		err = target__look_again(target);
	for (int i = 0; !err && (engine = next(snapshot, &i));) {
		if (engine->ops->needs_hold(engine, target))
			err = hold(snapshot, target);
		if (!err)
			err = engine->ops->repair(engine, target, ret_result);
	}
	return err;
}

void snapshot__commit(struct snapshot *snapshot, uint64_t chunks)
{
	struct engine *engine;

	for (int i = 0; (engine = next(snapshot, &i));)
		(void)engine->ops->end(engine, true);
	if (fault_injection__strikes("saved", "damage"))
		snapshot->pages->ops->pages->damage(snapshot->pages);
	snapshot->saved_before = snapshot->saved;
	snapshot->saved = chunks;
	snapshot->committed = snapshot->state->operation.sequence;
	snapshot->whole = true;
	snapshot->state->valid = 1;
}

bool snapshot__revert(struct snapshot *snapshot)
{
	const struct state *state = snapshot->state;
	bool is_committed = snapshot->committed == state->operation.sequence;

	if (snapshot->begun != state->operation.sequence && state->valid && !is_committed)
		return snapshot->whole; /* the failed one has changed nothing */
	take_back(snapshot);
	if (is_committed)
		snapshot->saved = snapshot->saved_before;
	snapshot->committed = 0;
	return snapshot->whole;
}

void snapshot__progress(const struct snapshot *snapshot, uint64_t *ret_done, uint64_t *ret_pages)
{
	*ret_done = snapshot->state->operation.slab_cursor;
	*ret_pages = snapshot->state->slabs;
}

enum dirty_way snapshot__dirty(const struct snapshot *snapshot, uint64_t *ret_pages)
{
	const struct engine *pages = snapshot->pages;

	*ret_pages = 0;
	if (!pages->ranges.count && !pages->reserved.count)
		return DIRTY_AUTO;
	*ret_pages = pages->visited;
	return pages->found_by;
}

uint64_t snapshot__count_gone(const struct snapshot *snapshot, uint64_t met)
{
	uint64_t known = snapshot->saved + intervals__bytes(&snapshot->pages->added) / CHUNK_BYTES;

	return known > met ? known - met : 0;
}

bool snapshot__provide(struct snapshot *snapshot, struct target *target)
{
	uint64_t pages;

	if (snapshot->slab_threshold == UINT64_MAX || !target->memory ||
	    !memory__can_scan(target->memory) || count_pages(snapshot, target, &pages))
		return false;
	return snapshot->pages->ops->pages->provide(snapshot->pages, pages);
}

/* ---- what there is ---- */

int snapshot__visit(struct snapshot *snapshot, saved_visitor *each, void *argument)
{
	struct engine *engine;
	int err = 0;

	for (int i = 0; !err && (engine = next(snapshot, &i));)
		err = engine->ops->visit(engine, each, argument);
	return err;
}

int snapshot__read_page(struct snapshot *snapshot, uint64_t address, const uint8_t **ret_bytes)
{
	return snapshot->pages->ops->pages->read(snapshot->pages, address, ret_bytes);
}

void snapshot__account(const struct snapshot *snapshot, account_visitor *each, void *argument)
{
	const struct engine *engine;

	for (int i = 0; (engine = next(snapshot, &i));)
		engine->ops->account(engine, each, argument);
}

void snapshot__free(struct snapshot *snapshot)
{
	if (!snapshot)
		return;
	if (snapshot->pages)
		snapshot->pages->ops->close(snapshot->pages);
	if (snapshot->chunks)
		snapshot->chunks->ops->close(snapshot->chunks);
	free(snapshot);
}
