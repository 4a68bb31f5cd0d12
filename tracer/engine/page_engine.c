/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See page_engine.h.
 */
#include "engine/page_engine.h"

#include <errno.h>
#include <stdlib.h>
#include "engine/page_maps.h"
#include "engine/paged_engine.h"

enum { FETCHED_PAGES = 1024 };

struct page_engine {
	struct paged_engine paged;
	struct page_maps *maps;
	uint8_t *buffer; /* FETCHED_PAGES pages on their way */
};

static struct page_engine *page_engine_of(const struct paged_engine *paged)
{
	return (struct page_engine *)paged;
}

/* Pages of the snapshot, with those that a checkpoint of changed pages may add. */
static int find_pages(const struct paged_engine *paged, struct intervals *ret)
{
	int err = intervals__copy(&paged->known, ret);

	return err ? err : intervals__unite(ret, &paged->pending);
}

static int make_room(struct paged_engine *paged, uint64_t pages)
{
	struct page_maps *maps = page_engine_of(paged)->maps;
	struct intervals all = {0};
	int err;

	(void)pages;
	if (!paged->narrow)
		return page_maps__make_room(maps, &paged->known);
	err = find_pages(paged, &all); /* there is room for them: has_room */
	if (!err)
		err = page_maps__take_in(maps, &all);
	intervals__clear(&all);
	return err;
}

/* Of ranges that are new, all pages count: which of them hold data is not known yet. */
static bool has_room(struct paged_engine *paged)
{
	uint64_t twice = intervals__bytes(&paged->pending) / SLAB_BYTES;
	struct intervals all = {0}, come = {0};
	bool result = false;

	if (find_pages(paged, &all) ||
	    intervals__subtract(&paged->engine.ranges, &paged->saved, &come))
		goto out;
	if (intervals__unite(&all, &come))
		goto out;
	intervals__clear(&come);
	if (intervals__subtract(&paged->engine.reserved, &paged->saved, &come) ||
	    intervals__unite(&all, &come))
		goto out;
	result = page_maps__has_room(page_engine_of(paged)->maps, &all, twice);
out:
	intervals__clear(&all);
	intervals__clear(&come);
	return result;
}

/* The other one of the two slots of a page. */
static int take_slot(struct paged_engine *paged, struct slab *slab, uint32_t before)
{
	(void)paged;
	slab->slot = before == 0;
	return 0;
}

/* The saved bytes of a page that is gone were dropped with it. */
static void give_slot(struct paged_engine *paged, struct slab *slab)
{
	if (slab->state != SLAB_GONE)
		page_maps__remove(page_engine_of(paged)->maps, slab->address, slab->slot);
}

/* A checkpoint of all pages uses the first slot of each. */
static void clear(struct paged_engine *paged)
{
	for (uint32_t i = 0; i < paged->engine.state->slabs; i++) {
		struct slab *slab = slab_table__at(&paged->table, i);

		if (slab->slot == 1)
			give_slot(paged, slab);
	}
}

/* Does a poll visit the page? */
static bool is_on_walk(const struct slab *slab)
{
	return slab->state == SLAB_DUE || slab->state == SLAB_PRESENT || slab->state == SLAB_ZERO;
}

/* Saved bytes with a wrong checksum are not restored. */
static int verify(struct page_engine *page_engine, struct slab *slab)
{
	int err = page_maps__get(page_engine->maps, slab->address, slab->slot, page_engine->buffer);

	if (err || slab_checksum((const __u64 *)page_engine->buffer) == slab->checksum)
		return err;
	slab->state = SLAB_UNREADABLE;
	page_engine->paged.engine.state->counters[COUNTER_SLABS_DAMAGED]++;
	return 0;
}

static int lay_out(struct paged_engine *paged, enum operation_kind kind)
{
	struct page_engine *page_engine = page_engine_of(paged);
	struct state *state = paged->engine.state;

	page_maps__begin_walk(page_engine->maps);
	for (uint32_t i = 0; i < paged_engine__visits(paged); i++) {
		struct slab *slab = paged_engine__visited(paged, i);
		int err = 0;

		if (paged->verify && slab->state == SLAB_PRESENT)
			err = verify(page_engine, slab);
		if (err)
			return err;
		if (slab->state == SLAB_DUE && slab->slot == NO_SLOT)
			slab->slot = 0;
		if (is_on_walk(slab))
			err = page_maps__add(page_engine->maps, slab->address,
					     slab->state == SLAB_ZERO ? PAGE_BLANK : slab->slot);
		if (err)
			return err;
	}
	return page_maps__end_walk(page_engine->maps, kind, state->target, &state->visits);
}

static int fetch(struct paged_engine *paged, const struct slab *slab, uint32_t at,
		 uint8_t **ret_bytes)
{
	struct page_engine *page_engine = page_engine_of(paged);
	uint8_t *bytes = page_engine->buffer + (size_t)at * SLAB_BYTES;
	int err = page_maps__get(page_engine->maps, slab->address, slab->slot, bytes);

	if (!err)
		*ret_bytes = bytes;
	return err;
}

static int next(struct paged_engine *paged, struct slab *slab, uint8_t **ret_bytes)
{
	if (slab->slot == NO_SLOT)
		slab->slot = 0;
	*ret_bytes = page_engine_of(paged)->buffer;
	return 0;
}

static int keep(struct paged_engine *paged, struct slab *slab, const uint8_t *bytes)
{
	return page_maps__put(page_engine_of(paged)->maps, slab->address, slab->slot, bytes);
}

static int drop(struct paged_engine *paged, uint64_t start, uint64_t end)
{
	return page_maps__drop(page_engine_of(paged)->maps, start, end);
}

static const struct paged_ops paged_ops = {
	.make_room = make_room,
	.lay_out = lay_out,
	.fetch = fetch,
	.next = next,
	.keep = keep,
	.take_slot = take_slot,
	.give_slot = give_slot,
	.has_room = has_room,
	.clear = clear,
	.drop = drop,
};

/* ---- what became of each page ---- */

static int collect_read(struct page_engine *page_engine, struct slab *slab, int code)
{
	struct paged_engine *paged = &page_engine->paged;
	struct state *state = paged->engine.state;

	if (code) {
		slab->state = SLAB_UNREADABLE;
		paged_engine__flag(paged, slab, SLAB_FAILED);
		state->operation.absent += SLAB_CHUNKS;
		return 0;
	}
	slab->state = SLAB_PRESENT;
	state->operation.copied += SLAB_CHUNKS;
	if (!paged->verify)
		return 0;
	code = page_maps__get(page_engine->maps, slab->address, slab->slot, page_engine->buffer);
	slab->checksum = slab_checksum((const __u64 *)page_engine->buffer);
	return code;
}

static void collect_written(struct paged_engine *paged, struct slab *slab, int code)
{
	struct operation *operation = &paged->engine.state->operation;

	if (!code) {
		operation->copied += SLAB_CHUNKS;
	} else if (slab->state == SLAB_ZERO) { /* it may well be absent, and so zero */
		paged_engine__flag(paged, slab, SLAB_FAILED);
		operation->absent += SLAB_CHUNKS;
	} else {
		paged_engine__flag(paged, slab, SLAB_FAILED | SLAB_DIRTY);
		operation->unwritten += SLAB_CHUNKS;
	}
}

/* The codes come in the order of the walk. Where BPF may not write there was no walk, and user
 * space restores all pages. */
static int collect(struct engine *engine, struct target *target)
{
	struct paged_engine *paged = paged_engine__of(engine);
	struct page_engine *page_engine = page_engine_of(paged);
	bool reading = engine->state->operation.kind == OPERATION_CHECKPOINT;
	uint32_t number = 0;
	int err = 0;

	for (uint32_t i = 0; i < paged_engine__visits(paged) && !err; i++) {
		struct slab *slab = paged_engine__visited(paged, i);

		slab->flags &= SLAB_LISTED;
		if (slab->state == SLAB_UNREADABLE && !reading)
			engine->state->operation.lost += SLAB_CHUNKS;
		if (!is_on_walk(slab))
			continue;
		if (reading)
			err = collect_read(page_engine, slab,
					   page_maps__code(page_engine->maps, number++));
		else if (page_maps__writes(page_engine->maps))
			collect_written(paged, slab, page_maps__code(page_engine->maps, number++));
		else
			collect_written(paged, slab, -EPERM);
	}
	return err ? err : paged_engine__collect(engine, target);
}

/* Where BPF may not write, user space writes all pages that a restore visits. */
static bool needs_hold(struct engine *engine, struct target *target)
{
	const struct paged_engine *paged = paged_engine__of(engine);

	if (engine->state->operation.kind == OPERATION_RESTORE && paged_engine__visits(paged) &&
	    !page_maps__writes(page_engine_of(paged)->maps))
		return true;
	return paged_engine__needs_hold(engine, target);
}

/* ---- the engine ---- */

struct account_call {
	account_visitor *each;
	void *argument;
};

static void account_map(const char *name, uint64_t places, uint64_t bytes, void *argument)
{
	const struct account_call *call = argument;
	const struct engine_account map = {
		.name = name, .places = places, .bytes = bytes, .entries = UINT64_MAX};

	call->each(&map, call->argument);
}

static uint64_t count_present(const struct paged_engine *paged)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < paged->engine.state->slabs; i++)
		count += slab_table__at(&paged->table, i)->state == SLAB_PRESENT;
	return count;
}

static void account(const struct engine *engine, account_visitor *each, void *argument)
{
	const struct paged_engine *paged = paged_engine__of(engine);
	const struct page_maps *maps = page_engine_of(paged)->maps;
	const struct engine_account pages = {.name = "slabs",
					     .entries = count_present(paged),
					     .places = page_maps__places(maps),
					     .bytes = extents__memory(&paged->extents) +
						      page_maps__memory(maps)};
	struct account_call call = {each, argument};

	each(&pages, argument);
	page_maps__for_each(maps, account_map, &call);
}

static void close_engine(struct engine *engine)
{
	struct paged_engine *paged = paged_engine__of(engine);
	struct page_engine *page_engine = page_engine_of(paged);

	paged_engine__close(paged);
	page_maps__free(page_engine->maps);
	free(page_engine->buffer);
	free(page_engine);
}

static const struct engine_ops engine_ops = {
	.note = paged_engine__note,
	.place = paged_engine__place,
	.begin = paged_engine__begin,
	.collect = collect,
	.is_left = paged_engine__is_left,
	.needs_hold = needs_hold,
	.repair = paged_engine__repair,
	.end = paged_engine__end,
	.visit = paged_engine__visit,
	.account = account,
	.close = close_engine,
	.pages = &paged_engine__page_ops,
};

int page_engine__open(const struct hooks *hooks, struct state *state,
		      const struct engine_settings *settings, struct engine **ret_engine)
{
	struct page_engine *page_engine = calloc(1, sizeof(*page_engine));
	const struct engine engine = {.ops = &engine_ops, .state = state};
	int err;

	if (!page_engine)
		return -ENOMEM;
	err = paged_engine__init(&page_engine->paged, &engine, &paged_ops, settings, hooks, -1, -1);
	if (err)
		goto out;
	page_engine->paged.fetched_most = FETCHED_PAGES;
	page_engine->buffer = malloc((size_t)FETCHED_PAGES * SLAB_BYTES);
	err = page_engine->buffer ? 0 : -ENOMEM;
	if (err)
		goto out;
	err = page_maps__open(settings->pages_per_poll, settings->restore_in_bpf,
			      hooks__continuations_fd(hooks), hooks__pages_moved_fd(hooks),
			      &page_engine->maps);
out:
	if (err) {
		close_engine(&page_engine->paged.engine);
		return err;
	}
	*ret_engine = &page_engine->paged.engine;
	return 0;
}
