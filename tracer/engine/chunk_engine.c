/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See chunk_engine.h. engine.ranges mirrors what is registered in the stores. Chunks of doomed are
 * registered too, but what they stood for is unmapped: they are dropped before the next copy.
 */
#include "engine/chunk_engine.h"

#include <errno.h>
#include <stdlib.h>
#include "base/log.h"
#include "engine/chunk_snapshot.h"
#include "engine/chunk_stores.h"
#include "target/reason.h"

struct chunk_engine {
	struct engine engine;
	const struct hooks *hooks;
	struct chunk_stores *stores;
	struct chunk_snapshot *snapshot;
	struct intervals doomed;
	uint64_t refused;   /* chunks that found no room since the ranges were last placed */
	uint64_t committed; /* sequence of the checkpoint that became whole last */
	bool limit_told;
	bool needs_repair; /* needs_hold() has found pages to be repaired */
};

static struct chunk_engine *chunk_engine_of(const struct engine *engine)
{
	return (struct chunk_engine *)engine;
}

uint64_t chunk_engine__chunks(const struct intervals *ranges)
{
	uint64_t chunks = 0;

	for (size_t i = 0; i < ranges->count; i++)
		chunks += (ranges->items[i].end - (ranges->items[i].start & ~(uint64_t)CHUNK_MASK) +
			   CHUNK_MASK) /
			  CHUNK_BYTES;
	return chunks;
}

/* ---- ranges ---- */

/* [start, end) is gone without the hook having dropped its chunks. */
static int doom(struct chunk_engine *chunks, uint64_t start, uint64_t end)
{
	struct intervals range = {0}, hit = {0};
	int err = intervals__add(&range, start, end);

	if (err)
		goto out;
	err = intervals__intersect(&range, &chunks->engine.ranges, &hit);
	if (err)
		goto out;
	err = intervals__unite(&chunks->doomed, &hit);
	if (err)
		goto out;
	err = intervals__remove(&chunks->engine.ranges, start, end);
out:
	intervals__clear(&range);
	intervals__clear(&hit);
	return err;
}

static int doom_all(struct chunk_engine *chunks)
{
	int err = intervals__unite(&chunks->doomed, &chunks->engine.ranges);

	if (err)
		return err;
	intervals__clear(&chunks->engine.ranges);
	return 0;
}

/* Nobody knows any more which chunks are registered. */
static int forget(struct chunk_engine *chunks)
{
	intervals__clear(&chunks->engine.ranges);
	intervals__clear(&chunks->doomed);
	return chunk_snapshot__drop_all(chunks->snapshot);
}

/* The chunks of a new range found no room. With more room the next range will, and this one is
 * registered before the next copy; at the limit the user must know. Several ranges may have been
 * refused before we hear of the first: room is made for all of them, once. */
static void make_room(struct chunk_engine *chunks, uint64_t start, uint64_t end)
{
	uint64_t count = (end - start) / CHUNK_BYTES;
	int err;

	chunks->refused += count;
	err = chunk_stores__make_room(chunks->stores, chunk_engine__chunks(&chunks->engine.ranges) +
							      chunks->refused);
	if (!err || chunks->limit_told)
		return;
	chunks->limit_told = true;
	log__warn("%lu chunks of [%#lx, %#lx) found no room: %s", (unsigned long)count,
		  (unsigned long)start, (unsigned long)end, reason__text(err));
}

static int note(struct engine *engine, const struct event *event)
{
	struct chunk_engine *chunks = chunk_engine_of(engine);
	int err;

	switch (event->kind) {
	case EVENT_LOST:
		return forget(chunks);
	case EVENT_EXEC:
		return doom_all(chunks);
	case EVENT_ADDED:
		err = intervals__add(&engine->ranges, event->start, event->end);
		return err ? err : intervals__remove(&chunks->doomed, event->start, event->end);
	case EVENT_DROPPED:
		err = intervals__remove(&engine->ranges, event->start, event->end);
		return err ? err : intervals__remove(&chunks->doomed, event->start, event->end);
	case EVENT_DOOMED:
		return doom(chunks, event->start, event->end);
	case EVENT_REFUSED:
		make_room(chunks, event->start, event->end);
		return 0;
	default:
		return 0;
	}
}

/* Drops the chunks of every interval of set that is not in keep. */
static int drop_all(struct chunk_engine *chunks, const struct intervals *set,
		    const struct intervals *keep)
{
	struct intervals gone = {0};
	int err = intervals__subtract(set, keep, &gone);

	for (size_t i = 0; i < gone.count && !err; i++)
		err = chunk_snapshot__drop(chunks->snapshot, gone.items[i].start,
					   gone.items[i].end);
	intervals__clear(&gone);
	return err;
}

/* Drops what is registered and not wanted. */
static int keep_only(struct chunk_engine *chunks, const struct intervals *wanted)
{
	const struct intervals none = {0};
	struct intervals kept = {0};
	int err = drop_all(chunks, &chunks->doomed, &none);

	if (err)
		return err;
	intervals__clear(&chunks->doomed);
	err = drop_all(chunks, &chunks->engine.ranges, wanted);
	if (err)
		return err;
	err = intervals__intersect(&chunks->engine.ranges, wanted, &kept);
	if (err)
		return err;
	intervals__clear(&chunks->engine.ranges);
	chunks->engine.ranges = kept;
	return 0;
}

/* Registers what is wanted, as far as there is room. */
static int add_missing(struct chunk_engine *chunks, const struct intervals *wanted)
{
	struct intervals *ranges = &chunks->engine.ranges, missing = {0};
	int err;

	chunks->refused = 0;
	err = chunk_stores__make_room(chunks->stores, chunk_engine__chunks(wanted));
	if (err && err != -REASON_CHUNK_LIMIT) /* then as much as fits is registered */
		return err;
	err = intervals__subtract(wanted, ranges, &missing);
	for (size_t i = 0; i < missing.count && !err; i++) {
		uint64_t start = missing.items[i].start, done;

		err = chunk_snapshot__add(chunks->snapshot, start, missing.items[i].end, &done);
		if (intervals__add(ranges, start, done) && !err)
			err = -ENOMEM;
	}
	intervals__clear(&missing);
	return err;
}

static int place(struct engine *engine, enum operation_kind kind, const struct intervals *wanted,
		 const struct intervals *reserved)
{
	struct chunk_engine *chunks = chunk_engine_of(engine);
	int err = keep_only(chunks, wanted);

	(void)reserved;
	if (err || kind != OPERATION_CHECKPOINT)
		return err;
	return add_missing(chunks, wanted);
}

/* ---- after a copy ---- */

static int compare_pages(const void *a, const void *b)
{
	const uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

/* The pages that BPF named, sorted by address: memory.h then looks at each mapping once. BPF names
 * them in the order of a hash. */
static const uint64_t *sorted_suspects(const struct chunk_engine *chunks, uint64_t count)
{
	uint64_t *pages = hooks__suspects(chunks->hooks);

	qsort(pages, count, sizeof(*pages), compare_pages);
	return pages;
}

/* Calls what with the pages to look at: those that BPF named, or all when there were too many. */
static int with_suspects(struct chunk_engine *chunks, struct memory *memory,
			 int (*what)(struct chunk_engine *chunks, struct memory *memory,
				     const uint64_t *pages, uint64_t count, void *argument),
			 void *argument)
{
	const struct intervals *ranges = &chunks->engine.ranges;
	uint64_t count = chunks->engine.state->operation.suspects, *pages;
	int err;

	if (count <= SUSPECT_PAGES)
		return what(chunks, memory, sorted_suspects(chunks, count), count, argument);
	count = intervals__bytes(ranges) / SLAB_BYTES + 2 * ranges->count;
	pages = malloc(count * sizeof(*pages));
	if (!pages)
		return -ENOMEM;
	count = 0;
	for (size_t i = 0; i < ranges->count; i++)
		for (uint64_t page = ranges->items[i].start & ~(uint64_t)(SLAB_BYTES - 1);
		     page < ranges->items[i].end; page += SLAB_BYTES)
			pages[count++] = page | SUSPECT_ABSENT;
	err = what(chunks, memory, pages, count, argument);
	free(pages);
	return err;
}

static int look_at_suspects(struct chunk_engine *chunks, struct memory *memory,
			    const uint64_t *pages, uint64_t count, void *argument)
{
	(void)chunks;
	*(bool *)argument = chunk_snapshot__needs_repair(memory, pages, count);
	return 0;
}

static bool is_left(const struct engine *engine)
{
	return engine->state->operation.suspects || engine->state->operation.differences;
}

static bool needs_hold(struct engine *engine, struct target *target)
{
	struct chunk_engine *chunks = chunk_engine_of(engine);

	chunks->needs_repair = false;
	if (engine->state->operation.suspects &&
	    with_suspects(chunks, target->memory, look_at_suspects, &chunks->needs_repair))
		chunks->needs_repair = true; /* no memory: repair will say so */
	return chunks->needs_repair || engine->state->operation.differences;
}

static int repair_suspects(struct chunk_engine *chunks, struct memory *memory,
			   const uint64_t *pages, uint64_t count, void *argument)
{
	if (chunks->engine.state->operation.kind == OPERATION_CHECKPOINT)
		return chunk_snapshot__repair_checkpoint(chunks->snapshot, memory, pages, count,
							 argument);
	return chunk_snapshot__repair_restore(chunks->snapshot, memory, pages, count, argument);
}

static int repair(struct engine *engine, struct target *target, struct engine_result *result)
{
	struct chunk_engine *chunks = chunk_engine_of(engine);
	const struct operation *operation = &engine->state->operation;
	int err = 0;

	if (operation->differences)
		err = chunk_snapshot__restore(chunks->snapshot, &engine->ranges,
					      hooks__differences(chunks->hooks),
					      operation->differences, target->memory, result);
	if (err || !chunks->needs_repair)
		return err;
	return with_suspects(chunks, target->memory, repair_suspects, result);
}

/* ---- the end ---- */

/* Puts back what the checkpoint has replaced. False if not all of it was kept. */
static bool take_back(struct chunk_engine *chunks)
{
	const struct difference *replaced = hooks__differences(chunks->hooks);
	struct state *state = chunks->engine.state;

	if (state->valid && chunks->committed != state->operation.sequence)
		return true; /* it has not begun to copy */
	if (!chunks->engine.ranges.count)
		return true;
	if (!state->replacing || state->replaced > DIFFERENCES)
		return false;
	for (; state->replaced > 0; state->replaced--)
		if (chunk_snapshot__put_back(chunks->snapshot, &replaced[state->replaced - 1]))
			return false;
	return true;
}

static bool end(struct engine *engine, bool good)
{
	struct chunk_engine *chunks = chunk_engine_of(engine);

	if (!good)
		return take_back(chunks);
	chunks->committed = engine->state->operation.sequence;
	return true;
}

/* ---- the engine ---- */

static int visit(struct engine *engine, saved_visitor *each, void *argument)
{
	return chunk_snapshot__visit(chunk_engine_of(engine)->snapshot, &engine->ranges, each,
				     argument);
}

static void account(const struct engine *engine, account_visitor *each, void *argument)
{
	const struct chunk_stores *stores = chunk_engine_of(engine)->stores;
	const struct engine_account chunks = {.name = "chunks",
					      .entries = chunk_engine__chunks(&engine->ranges),
					      .places = chunk_stores__places(stores),
					      .bytes = chunk_stores__memory(stores),
					      .limit = chunk_stores__limit(stores)};

	each(&chunks, argument);
}

static void close_engine(struct engine *engine)
{
	struct chunk_engine *chunks = chunk_engine_of(engine);

	intervals__clear(&engine->ranges);
	intervals__clear(&chunks->doomed);
	chunk_snapshot__free(chunks->snapshot);
	chunk_stores__free(chunks->stores);
	free(chunks);
}

static const struct engine_ops engine_ops = {
	.note = note,
	.place = place,
	.is_left = is_left,
	.needs_hold = needs_hold,
	.repair = repair,
	.end = end,
	.visit = visit,
	.account = account,
	.close = close_engine,
};

int chunk_engine__open(const struct hooks *hooks, struct state *state, uint64_t ready,
		       uint64_t limit, struct engine **ret_engine)
{
	struct chunk_engine *chunks = calloc(1, sizeof(*chunks));
	int err;

	if (!chunks)
		return -ENOMEM;
	chunks->engine = (struct engine){.ops = &engine_ops, .state = state};
	chunks->hooks = hooks;
	err = chunk_stores__open(hooks__chunk_stores_fd(hooks), hooks__chunks_fd(hooks),
				 hooks__stream_fd(hooks), ready, limit, state, &chunks->stores);
	if (err)
		goto out;
	err = chunk_snapshot__create(chunks->stores, &chunks->snapshot);
out:
	if (err) {
		close_engine(&chunks->engine);
		return err;
	}
	*ret_engine = &chunks->engine;
	return 0;
}
