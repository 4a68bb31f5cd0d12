/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See paged_internal.h: which pages an operation visits.
 */
#include "engine/paged_internal.h"

#include <errno.h>
#include <stdlib.h>

/* Measured with 1,024 such pages in 16 MiB: an armed page costs 1.0 us in the program, for its
 * fault, and 2.1 us in the restore; a hot one 2.9 us in the restore, or 0.7 us if it was not
 * written. So a page must be dirty in three of four rounds to be worth it, and to look again costs
 * little. */
enum {
	HOT_ROUNDS = 8, /* dirty in so many rounds in a row, a page is left unarmed, */
	HOT_PAUSE = 16, /* and armed once after so many more, to see whether it still is hot */
};

int paged_list__put(struct paged_engine *paged, uint32_t index)
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
	paged_engine__slab(paged, index)->flags = SLAB_LISTED;
	return 0;
}

void paged_list__clear(struct paged_engine *paged)
{
	for (uint32_t i = 0; i < paged->listed; i++)
		paged_engine__slab(paged, paged->list[i])->flags = 0;
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
	if (slab->rounds >= HOT_ROUNDS + HOT_PAUSE)
		slab->rounds = HOT_ROUNDS - 1;
	return slab->rounds >= HOT_ROUNDS;
}

/* An entry becomes another one. What it was is kept, with its slot. */
static int change(struct paged_engine *paged, uint32_t index, enum slab_state slab_state)
{
	struct slab *slab = paged_engine__slab(paged, index);
	int err = revisions__keep(&paged->revisions, &paged->table, index);

	if (err)
		return err;
	slab->slot = NO_SLOT;
	slab->checksum = 0;
	slab->state = (uint8_t)slab_state;
	return 0;
}

int paged_list__make_due(struct paged_engine *paged, uint32_t index)
{
	struct slab *slab = paged_engine__slab(paged, index);
	uint32_t before = slab->slot;
	int err = change(paged, index, SLAB_DUE);

	return err ? err : paged->ops->take_slot(paged, slab, before);
}

int paged_list__for_each(struct paged_engine *paged, const struct intervals *pages,
			 int (*each)(struct paged_engine *paged, uint64_t address))
{
	int err = 0;

	for (size_t i = 0; i < pages->count && !err; i++)
		for (uint64_t page = pages->items[i].start; page < pages->items[i].end && !err;
		     page += SLAB_BYTES)
			err = each(paged, page);
	return err;
}

/* An entry for a page that the snapshot does not have: at the checkpoint, it was zeros. */
static int add_page(struct paged_engine *paged, uint64_t address)
{
	bool due = !paged_engine__is_restore(paged);
	uint32_t index;
	int err = slab_table__append(&paged->table, address, due ? SLAB_DUE : SLAB_ZERO, &index);

	if (err)
		return err;
	if (due)
		err = paged->ops->take_slot(paged, paged_engine__slab(paged, index), NO_SLOT);
	else
		err = intervals__add(&paged->engine.added, address, address + SLAB_BYTES);
	if (err)
		return err;
	err = intervals__add(&paged->known, address, address + SLAB_BYTES);
	if (err)
		return err;
	return paged->narrow ? paged_list__put(paged, index) : 0;
}

int paged_list__add_pages(struct paged_engine *paged, const struct intervals *pages)
{
	return paged_list__for_each(paged, pages, add_page);
}

/* Lists a page that may differ, if the snapshot has it. */
static int list_page(struct paged_engine *paged, uint64_t address)
{
	uint32_t index = slab_table__find(&paged->table, address);
	int err;

	if (index == NO_SLAB)
		return 0;
	if (is_hot(paged, paged_engine__slab(paged, index))) {
		err = intervals__add(&paged->hot, address, address + SLAB_BYTES);
		if (err)
			return err;
	}
	if (!paged_engine__is_restore(paged)) {
		err = paged_list__make_due(paged, index);
		if (err)
			return err;
	}
	return paged_list__put(paged, index);
}

/* Lists a page that holds no data any more: a checkpoint need not read it. One that was zeros is
 * right as it is. */
static int list_empty(struct paged_engine *paged, uint64_t address)
{
	uint32_t index = slab_table__find(&paged->table, address);

	if (index == NO_SLAB || paged_engine__slab(paged, index)->state != SLAB_PRESENT)
		return 0;
	if (paged_engine__is_restore(paged))
		return paged_list__put(paged, index);
	return change(paged, index, SLAB_ZERO);
}

int paged_list__fill(struct paged_engine *paged)
{
	struct intervals fresh = {0};
	int err = paged_list__for_each(paged, &paged->dirty.written, list_page);

	if (err)
		goto out;
	err = paged_list__for_each(paged, &paged->dirty.missing, list_empty);
	if (err)
		goto out;
	err = intervals__subtract(&paged->dirty.written, &paged->known, &fresh);
	if (err)
		goto out;
	err = paged_list__add_pages(paged, &fresh);
out:
	intervals__clear(&fresh);
	return err;
}
