/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See slab_engine.h. In a checkpoint of all pages BPF fills the slots one behind the other. In one
 * of changed pages they get slots here: free ones, then new ones.
 */
#include "engine/slab_engine.h"

#include <errno.h>
#include <stdlib.h>
#include "engine/paged_engine.h"
#include "target/reason.h"

struct slab_engine {
	struct paged_engine paged;
	uint64_t *list; /* SLABS_LISTED numbers, shared with the kernel side; borrowed */
	uint32_t *free; /* free slots */
	uint32_t free_count, free_room;
};

static struct slab_engine *slab_engine_of(const struct engine *engine)
{
	return (struct slab_engine *)engine;
}

static int make_room(struct paged_engine *paged, uint64_t pages)
{
	return extents__fit_slots(&paged->extents,
				  paged->narrow ? pages : paged_engine__slots_for(paged, pages));
}

static int lay_out(struct paged_engine *paged, enum operation_kind kind)
{
	struct slab_engine *slab_engine = slab_engine_of(&paged->engine);
	struct state *state = paged->engine.state;

	(void)kind;
	if (paged->narrow && paged->listed <= SLABS_LISTED) {
		for (uint32_t i = 0; i < paged->listed; i++)
			slab_engine->list[i] = paged->list[i];
		state->visits = state->listed = paged->listed;
	} else {
		state->visits = state->slabs;
		state->listed = 0;
	}
	return 0;
}

static int fetch(struct paged_engine *paged, const struct slab *slab, uint32_t at,
		 uint8_t **ret_bytes)
{
	(void)at;
	*ret_bytes = extents__slot(&paged->extents, slab->slot);
	return 0;
}

static int take_slot(struct paged_engine *paged, struct slab *slab, uint32_t before)
{
	struct slab_engine *slab_engine = slab_engine_of(&paged->engine);
	uint32_t slot = paged->engine.state->slots;
	int err;

	(void)before;
	if (slab_engine->free_count) {
		slab->slot = slab_engine->free[--slab_engine->free_count];
		return 0;
	}
	if (slot >= EXTENTS * EXTENT_SLABS)
		return -REASON_SLAB_LIMIT;
	err = extents__need_slot(&paged->extents, slot);
	if (err)
		return err;
	slab->slot = slot;
	paged->engine.state->slots++;
	return 0;
}

/* Where there is no memory to remember it, the slot is lost until the next checkpoint of all
 * pages. */
static void give_slot(struct paged_engine *paged, struct slab *slab)
{
	struct slab_engine *slab_engine = slab_engine_of(&paged->engine);

	if (slab_engine->free_count == slab_engine->free_room) {
		uint32_t room = slab_engine->free_room ? 2 * slab_engine->free_room : 1024;
		uint32_t *more = reallocarray(slab_engine->free, room, sizeof(*more));

		if (more) {
			slab_engine->free = more;
			slab_engine->free_room = room;
		}
	}
	if (slab_engine->free_count < slab_engine->free_room)
		slab_engine->free[slab_engine->free_count++] = slab->slot;
}

static bool has_room(struct paged_engine *paged)
{
	(void)paged;
	return true;
}

static void clear(struct paged_engine *paged)
{
	slab_engine_of(&paged->engine)->free_count = 0;
}

static int next(struct paged_engine *paged, struct slab *slab, uint8_t **ret_bytes)
{
	int err = slab->slot == NO_SLOT ? take_slot(paged, slab, NO_SLOT) : 0;

	if (!err)
		*ret_bytes = extents__slot(&paged->extents, slab->slot);
	return err;
}

/* The bytes are in the slot. */
static int keep(struct paged_engine *paged, struct slab *slab, const uint8_t *bytes)
{
	(void)paged;
	(void)slab;
	(void)bytes;
	return 0;
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
};

static uint32_t slots_used(const struct slab_engine *slab_engine)
{
	return slab_engine->paged.engine.state->slots - slab_engine->free_count;
}

/* Gives back extents that pages of zeros did not take. */
static void trim(struct slab_engine *slab_engine)
{
	struct paged_engine *paged = &slab_engine->paged;
	uint32_t pages = slab_table__pages(&paged->table), used = slots_used(slab_engine);

	paged->zeros = pages > used ? pages - used : 0;
	extents__trim_slots(&paged->extents, paged->engine.state->slots);
}

static bool end(struct engine *engine, bool good)
{
	bool whole = paged_engine__end(engine, good);

	if (good)
		trim(slab_engine_of(engine));
	return whole;
}

static void account(const struct engine *engine, account_visitor *each, void *argument)
{
	const struct paged_engine *paged = paged_engine__of(engine);
	const struct engine_account slabs = {.name = "slabs",
					     .entries = slots_used(slab_engine_of(engine)),
					     .places = extents__slots(&paged->extents),
					     .bytes = extents__memory(&paged->extents)};

	each(&slabs, argument);
}

static void close_engine(struct engine *engine)
{
	struct slab_engine *slab_engine = slab_engine_of(engine);

	paged_engine__close(&slab_engine->paged);
	free(slab_engine->free);
	free(slab_engine);
}

static const struct engine_ops engine_ops = {
	.note = paged_engine__note,
	.place = paged_engine__place,
	.begin = paged_engine__begin,
	.collect = paged_engine__collect,
	.is_left = paged_engine__is_left,
	.needs_hold = paged_engine__needs_hold,
	.repair = paged_engine__repair,
	.end = end,
	.visit = paged_engine__visit,
	.account = account,
	.close = close_engine,
	.pages = &paged_engine__page_ops,
};

int slab_engine__open(const struct hooks *hooks, struct state *state,
		      const struct engine_settings *settings, struct engine **ret_engine)
{
	struct slab_engine *slab_engine = calloc(1, sizeof(*slab_engine));
	const struct engine engine = {.ops = &engine_ops, .state = state};
	int err;

	if (!slab_engine)
		return -ENOMEM;
	slab_engine->list = hooks__slab_list(hooks);
	err = paged_engine__init(&slab_engine->paged, &engine, &paged_ops, settings, hooks,
				 hooks__extents_fd(hooks), hooks__slab_tables_fd(hooks));
	if (err) {
		close_engine(&slab_engine->paged.engine);
		return err;
	}
	*ret_engine = &slab_engine->paged.engine;
	return 0;
}
