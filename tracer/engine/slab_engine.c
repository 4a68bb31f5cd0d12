/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See slab_engine.h. BPF fills the slots one behind the other and sets the flags of the table.
 */
#include "engine/slab_engine.h"

#include <errno.h>
#include <stdlib.h>
#include "engine/paged_engine.h"

struct slab_engine {
	struct paged_engine paged;
	uint32_t zeros; /* pages of the last checkpoint that took no slot */
};

static struct slab_engine *slab_engine_of(const struct engine *engine)
{
	return (struct slab_engine *)engine;
}

/* Slots for so many pages, if as many of them are zeros as the last time, and one to read a page of
 * zeros into. If fewer are zeros, BPF leaves the last of the others to be repaired. */
static uint64_t slots_for(const struct slab_engine *slab_engine, uint64_t pages)
{
	return (pages > slab_engine->zeros ? pages - slab_engine->zeros : 0) + 1;
}

static int reserve(struct paged_engine *paged)
{
	uint64_t pages = intervals__bytes(&paged->known) / SLAB_BYTES;

	return extents__fit_slots(&paged->extents,
				  slots_for(slab_engine_of(&paged->engine), pages));
}

static int lay_out(struct paged_engine *paged, enum operation_kind kind)
{
	(void)kind;
	paged->engine.state->visits = paged->engine.state->slabs;
	return 0;
}

static int fetch(struct paged_engine *paged, const struct slab *slab, uint32_t place,
		 uint8_t **ret_bytes)
{
	(void)place;
	*ret_bytes = extents__slot(&paged->extents, slab->slot);
	return 0;
}

static int next(struct paged_engine *paged, uint8_t **ret_bytes)
{
	uint32_t slot = paged->engine.state->slots;
	int err = extents__need_slot(&paged->extents, slot);

	if (!err)
		*ret_bytes = extents__slot(&paged->extents, slot);
	return err;
}

static int keep(struct paged_engine *paged, struct slab *slab, const uint8_t *bytes)
{
	(void)bytes; /* they are in the slot */
	slab->slot = paged->engine.state->slots++;
	return 0;
}

static const struct paged_ops paged_ops = {
	.reserve = reserve,
	.lay_out = lay_out,
	.fetch = fetch,
	.next = next,
	.keep = keep,
};

/* Gives back extents that pages of zeros did not take. */
static void commit(struct engine *engine)
{
	struct slab_engine *slab_engine = slab_engine_of(engine);

	slab_engine->zeros = engine->state->slabs - engine->state->slots;
	extents__trim_slots(&slab_engine->paged.extents, engine->state->slots);
}

static bool provide(struct engine *engine, uint64_t pages)
{
	struct slab_engine *slab_engine = slab_engine_of(engine);

	/* where that fails, the checkpoint will say so, if it still is so then */
	return extents__provide(&slab_engine->paged.extents, slots_for(slab_engine, pages));
}

static void account(const struct engine *engine, account_visitor *each, void *argument)
{
	const struct paged_engine *paged = paged_engine__of(engine);
	const struct engine_account slabs = {.name = "slabs",
					     .entries = engine->state->slots,
					     .places = extents__slots(&paged->extents),
					     .bytes = extents__memory(&paged->extents)};

	each(&slabs, argument);
}

static void damage(struct engine *engine)
{
	struct paged_engine *paged = paged_engine__of(engine);
	const struct slab *slab = paged_engine__first_present(paged);

	if (slab)
		*extents__slot(&paged->extents, slab->slot) ^= 1;
}

static void close_engine(struct engine *engine)
{
	paged_engine__close(paged_engine__of(engine));
	free(slab_engine_of(engine));
}

static const struct engine_ops engine_ops = {
	.note = paged_engine__note,
	.reset = paged_engine__reset,
	.place = paged_engine__place,
	.prune = paged_engine__prune,
	.begin = paged_engine__begin,
	.is_left = paged_engine__is_left,
	.repair = paged_engine__repair,
	.commit = commit,
	.provide = provide,
	.visit = paged_engine__visit,
	.read = paged_engine__read,
	.added = paged_engine__added,
	.account = account,
	.damage = damage,
	.close = close_engine,
};

int slab_engine__open(const struct hooks *hooks, struct state *state, bool verify,
		      struct engine **ret_engine)
{
	struct slab_engine *slab_engine = calloc(1, sizeof(*slab_engine));
	struct paged_engine *paged;
	int err;

	if (!slab_engine)
		return -ENOMEM;
	paged = &slab_engine->paged;
	err = paged_engine__open(paged, &engine_ops, &paged_ops, state, hooks__extents_fd(hooks),
				 hooks__slab_tables_fd(hooks));
	if (err) {
		close_engine(&paged->engine);
		return err;
	}
	paged->verify = verify;
	*ret_engine = &paged->engine;
	return 0;
}
