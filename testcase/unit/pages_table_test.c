/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The slab table and the revisions of a checkpoint, against a model: thousands of steps in an order
 * that a seed decides. After each, every page is found where it should be, and every slot belongs
 * to one entry, to one revision, or to nobody.
 */
#include <stdlib.h>
#include <string.h>
#include "engine/revisions.h"
#include "engine/slab_table.h"
#include "random.h"
#include "tap.h"

enum { PAGES = 5003, STEPS = 4001, LONGEST = 301, SLOTS = 4 * PAGES };

struct page { /* of the model */
	uint32_t slot;
	bool there;
};

static struct state state;
static struct extents extents;
static struct slab_table table = {.extents = &extents, .state = &state};
static struct revisions revisions;
static struct intervals saved, known;
static struct page now[PAGES], before[PAGES];
static bool used[SLOTS], began;

static uint64_t address_of(size_t page)
{
	return (23 + page) * SLAB_BYTES;
}

static uint32_t take_slot(void)
{
	uint32_t slot = 0;

	while (used[slot])
		slot++;
	used[slot] = true;
	return slot;
}

static void give_slot(struct slab *slab, void *argument)
{
	(void)argument;
	if (slab->slot != NO_SLOT)
		used[slab->slot] = false;
	slab->slot = NO_SLOT;
}

static void append(size_t page)
{
	uint32_t index;

	must(slab_table__append(&table, address_of(page), SLAB_PRESENT, &index));
	now[page] = (struct page){.slot = take_slot(), .there = true};
	slab_table__at(&table, index)->slot = now[page].slot;
	must(intervals__add(&known, address_of(page), address_of(page) + SLAB_BYTES));
}

static void step_append(void)
{
	size_t page = random__below(PAGES), end = page + 1 + random__below(LONGEST);

	for (; page < end && page < PAGES; page++)
		if (!now[page].there)
			append(page);
}

static void step_drop(void)
{
	size_t page = random__below(PAGES), end = page + 1 + random__below(LONGEST);

	if (end > PAGES)
		end = PAGES;
	slab_table__drop(&table, address_of(page), address_of(end));
	must(intervals__remove(&known, address_of(page), address_of(end)));
	must(intervals__remove(&saved, address_of(page), address_of(end)));
	for (; page < end; page++) {
		now[page].there = false;
		before[page].there = false;
	}
}

static void step_begin(void)
{
	if (began)
		return;
	must(revisions__begin(&revisions, &table, &saved));
	memcpy(before, now, sizeof(now));
	began = true;
}

/* A page gets a new slot; the old one is kept. */
static void change(size_t page)
{
	uint32_t index = slab_table__find(&table, address_of(page));
	struct slab *slab = slab_table__at(&table, index);

	if (before[page].there && slab->slot == before[page].slot)
		must(revisions__keep(&revisions, &table, index));
	else
		used[slab->slot] = false;
	slab->slot = now[page].slot = take_slot();
}

static void step_change(void)
{
	for (int i = 0; began && i < 23; i++) {
		size_t page = random__below(PAGES);

		if (now[page].there)
			change(page);
	}
}

static void step_end(void)
{
	if (!began)
		return;
	if (random__below(2)) {
		revisions__forget(&revisions, give_slot, NULL);
	} else {
		must(revisions__revert(&revisions, &table, &saved, &known, give_slot, NULL));
		memcpy(now, before, sizeof(now));
	}
	memset(before, 0, sizeof(before));
	began = false;
	must(slab_table__tidy(&table, give_slot, NULL));
}

/* Of each page: is it there, with its slot? */
static size_t count_wrong(void)
{
	size_t wrong = 0, there = 0;

	for (size_t page = 0; page < PAGES; page++) {
		uint32_t index = slab_table__find(&table, address_of(page));
		bool is_known = intervals__find(&known, address_of(page)) != NULL;

		there += now[page].there;
		if (now[page].there)
			wrong += index == NO_SLAB || !is_known ||
				 slab_table__at(&table, index)->slot != now[page].slot;
		else
			wrong += index != NO_SLAB || is_known;
	}
	return wrong + (slab_table__pages(&table) != there);
}

/* Slots in use that no entry and no revision has. */
static size_t count_lost(void)
{
	static bool owned[SLOTS];
	size_t count = 0;

	memset(owned, 0, sizeof(owned));
	for (uint32_t i = 0; i < state.slabs; i++)
		if (slab_table__at(&table, i)->slot != NO_SLOT)
			owned[slab_table__at(&table, i)->slot] = true;
	for (size_t i = 0; i < revisions.count; i++)
		owned[revisions.items[i].before.slot] = true;
	for (size_t i = 0; i < SLOTS; i++)
		count += used[i] != owned[i];
	return count;
}

static void test_model(uint64_t seed)
{
	static void (*const steps[])(void) = {step_append, step_append, step_drop, step_begin,
					      step_change, step_change, step_end};
	size_t wrong = 0, tidied = 0;

	random__seed(seed);
	must(intervals__add(&saved, 0, address_of(PAGES)));
	for (int i = 0; i < STEPS && !wrong; i++) {
		uint32_t slabs = state.slabs;

		steps[random__below(sizeof(steps) / sizeof(*steps))]();
		tidied += state.slabs < slabs && !table.appended && !table.gone;
		if (i % 23 == 0)
			wrong = count_wrong() + count_lost();
	}
	tap__equal(wrong, 0, "%d steps: each page is found with its slot (seed %lu)", STEPS,
		   (unsigned long)seed);
	tap__ok(tidied > 0, "the table was tidied meanwhile");
	if (began)
		step_end();
	tap__equal(count_wrong() + count_lost(), 0, "at the end, too");
}

static void test_end(void)
{
	revisions__clear(&revisions);
	revisions__clear(&revisions);
	slab_table__clear(&table);
	slab_table__clear(&table);
	tap__ok(!state.slabs && !slab_table__pages(&table) &&
			slab_table__find(&table, address_of(0)) == NO_SLAB,
		"cleared, twice: nothing is there");
	intervals__clear(&saved);
	intervals__clear(&known);
	extents__close(&extents);
}

int main(int argc, char **argv)
{
	uint64_t seed = random__seed_of(argc, argv, 23);

	tap__plan(4);
	must(extents__open(&extents, -1, -1));
	test_model(seed);
	test_end();
	return tap__done();
}
