/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of intervals: fixed cases at the edges, then a random walk of two sets. After every step
 * the sets are compared with two bitmaps. The seed is printed; run with a seed as argument to
 * repeat.
 */
#include <stdlib.h>

#include "base/intervals.h"
#include "random.h"
#include "tap.h"

#define STEPS      2300
#define MODEL_BITS 613 /* addresses of the model, from 0 on */

/* Does the set hold exactly these, given as start, end, start, end, ...? */
static int holds(const struct intervals *set, size_t count, const uint64_t *edges)
{
	if (set->count != count)
		return 0;
	for (size_t i = 0; i < count; i++) {
		if (set->items[i].start != edges[2 * i] || set->items[i].end != edges[2 * i + 1])
			return 0;
	}
	return 1;
}

#define HOLDS(set, ...)                                                                            \
	holds(set, sizeof((uint64_t[]){__VA_ARGS__}) / (2 * sizeof(uint64_t)),                     \
	      (uint64_t[]){__VA_ARGS__})

static void test_add(void)
{
	struct intervals set = {0};

	tap__ok(intervals__add(&set, 50, 50) == 0 && set.count == 0, "adding nothing");
	tap__ok(intervals__add(&set, 60, 50) == 0 && set.count == 0, "adding a reversed one");
	tap__ok(intervals__add(&set, 50, 60) == 0 && HOLDS(&set, 50, 60), "the first");
	tap__ok(intervals__add(&set, 10, 20) == 0 && HOLDS(&set, 10, 20, 50, 60), "one before");
	tap__ok(intervals__add(&set, 80, 90) == 0 && HOLDS(&set, 10, 20, 50, 60, 80, 90),
		"one after");
	tap__ok(intervals__add(&set, 20, 25) == 0 && HOLDS(&set, 10, 25, 50, 60, 80, 90),
		"one that touches the end");
	tap__ok(intervals__add(&set, 45, 50) == 0 && HOLDS(&set, 10, 25, 45, 60, 80, 90),
		"one that touches the start");
	tap__ok(intervals__add(&set, 50, 55) == 0 && HOLDS(&set, 10, 25, 45, 60, 80, 90),
		"one that is there already");
	tap__ok(intervals__add(&set, 60, 80) == 0 && HOLDS(&set, 10, 25, 45, 90),
		"one that fills a gap exactly");
	tap__ok(intervals__add(&set, 24, 46) == 0 && HOLDS(&set, 10, 90), "one over a gap");
	tap__ok(intervals__add(&set, 0, UINT64_MAX) == 0 && HOLDS(&set, 0, UINT64_MAX),
		"one over everything");
	tap__ok(intervals__bytes(&set) == UINT64_MAX, "the number of all addresses fits");
	intervals__clear(&set);
	intervals__clear(&set);
	tap__ok(set.count == 0 && set.items == NULL && set.capacity == 0, "cleared, twice");
}

static void test_remove(void)
{
	struct intervals set = {0};

	tap__ok(intervals__remove(&set, 0, 100) == 0 && set.count == 0, "from an empty set");
	(void)intervals__add(&set, 10, 20);
	(void)intervals__add(&set, 30, 40);
	(void)intervals__add(&set, 50, 60);
	tap__ok(intervals__remove(&set, 20, 30) == 0 && HOLDS(&set, 10, 20, 30, 40, 50, 60),
		"a gap");
	tap__ok(intervals__remove(&set, 35, 35) == 0 && intervals__remove(&set, 38, 32) == 0 &&
			HOLDS(&set, 10, 20, 30, 40, 50, 60),
		"nothing, and a reversed one");
	tap__ok(intervals__remove(&set, 33, 37) == 0 && HOLDS(&set, 10, 20, 30, 33, 37, 40, 50, 60),
		"the middle of one: a split");
	tap__ok(intervals__remove(&set, 10, 12) == 0 && HOLDS(&set, 12, 20, 30, 33, 37, 40, 50, 60),
		"the start of one");
	tap__ok(intervals__remove(&set, 58, 60) == 0 && HOLDS(&set, 12, 20, 30, 33, 37, 40, 50, 58),
		"the end of one");
	tap__ok(intervals__remove(&set, 15, 52) == 0 && HOLDS(&set, 12, 15, 52, 58),
		"over several");
	tap__ok(intervals__remove(&set, 12, 15) == 0 && HOLDS(&set, 52, 58), "exactly one");
	tap__ok(intervals__remove(&set, 0, UINT64_MAX) == 0 && set.count == 0, "everything");
	intervals__clear(&set);
}

static void test_find(void)
{
	struct intervals set = {0};

	tap__ok(!intervals__find(&set, 0) && !intervals__find(&set, UINT64_MAX), "in nothing");
	(void)intervals__add(&set, 10, 20);
	(void)intervals__add(&set, 30, UINT64_MAX);
	tap__ok(!intervals__find(&set, 9) && !intervals__find(&set, 20) &&
			!intervals__find(&set, 29) && !intervals__find(&set, UINT64_MAX),
		"addresses outside");
	tap__ok(intervals__find(&set, 10) == &set.items[0] &&
			intervals__find(&set, 19) == &set.items[0] &&
			intervals__find(&set, 30) == &set.items[1] &&
			intervals__find(&set, UINT64_MAX - 1) == &set.items[1],
		"first and last addresses");
	intervals__clear(&set);
}

static void test_set_operations(void)
{
	struct intervals a = {0}, b = {0}, empty = {0}, ret = {0};

	(void)intervals__add(&ret, 1, 2);
	tap__ok(intervals__subtract(&empty, &empty, &ret) == 0 && ret.count == 0,
		"nothing without nothing; the old result goes");
	(void)intervals__add(&a, 10, 20);
	(void)intervals__add(&a, 30, 40);
	(void)intervals__add(&a, 50, 60);
	tap__ok(intervals__subtract(&a, &empty, &ret) == 0 && HOLDS(&ret, 10, 20, 30, 40, 50, 60),
		"without nothing");
	tap__ok(intervals__subtract(&a, &a, &ret) == 0 && ret.count == 0, "without itself");
	tap__ok(intervals__intersect(&a, &a, &ret) == 0 && HOLDS(&ret, 10, 20, 30, 40, 50, 60),
		"in common with itself");
	tap__ok(intervals__intersect(&a, &empty, &ret) == 0 && ret.count == 0,
		"in common with nothing");
	(void)intervals__add(&b, 12, 14);
	(void)intervals__add(&b, 16, 35);
	(void)intervals__add(&b, 36, 37);
	(void)intervals__add(&b, 60, 70);
	tap__ok(intervals__subtract(&a, &b, &ret) == 0 &&
			HOLDS(&ret, 10, 12, 14, 16, 35, 36, 37, 40, 50, 60),
		"a without b");
	tap__ok(intervals__subtract(&b, &a, &ret) == 0 && HOLDS(&ret, 20, 30, 60, 70),
		"b without a");
	tap__ok(intervals__intersect(&a, &b, &ret) == 0 &&
			HOLDS(&ret, 12, 14, 16, 20, 30, 35, 36, 37),
		"in common");
	intervals__clear(&a);
	intervals__clear(&b);
	intervals__clear(&ret);
}

static void test_unite(void)
{
	struct intervals a = {0}, b = {0}, empty = {0}, ret = {0};

	tap__ok(intervals__unite(&a, &empty) == 0 && a.count == 0, "nothing and nothing");
	(void)intervals__add(&b, 20, 30);
	(void)intervals__add(&b, 50, 60);
	tap__ok(intervals__unite(&a, &b) == 0 && HOLDS(&a, 20, 30, 50, 60), "nothing and a set");
	tap__ok(intervals__unite(&a, &empty) == 0 && HOLDS(&a, 20, 30, 50, 60),
		"a set and nothing");
	tap__ok(intervals__unite(&a, &a) == 0 && HOLDS(&a, 20, 30, 50, 60), "a set and itself");
	(void)intervals__remove(&b, 0, UINT64_MAX);
	(void)intervals__add(&b, 10, 20);
	(void)intervals__add(&b, 32, 35);
	(void)intervals__add(&b, 52, 54);
	(void)intervals__add(&b, 58, 70);
	tap__ok(intervals__unite(&a, &b) == 0 && HOLDS(&a, 10, 30, 32, 35, 50, 70),
		"two sets that touch and overlap");
	(void)intervals__add(&ret, 1, 2);
	tap__ok(intervals__copy(&a, &ret) == 0 && HOLDS(&ret, 10, 30, 32, 35, 50, 70) &&
			ret.items != a.items,
		"a copy; the old content goes");
	tap__ok(intervals__copy(&empty, &ret) == 0 && ret.count == 0, "a copy of nothing");
	intervals__clear(&a);
	intervals__clear(&b);
}

/* Does the invariant of intervals.h hold, and does the set hold just the model's addresses? */
static int matches(const struct intervals *set, const uint8_t *model)
{
	uint64_t bytes = 0;
	size_t i = 0;

	for (size_t k = 0; k < set->count; k++) {
		if (set->items[k].start >= set->items[k].end)
			return 0;
		if (k > 0 && set->items[k - 1].end >= set->items[k].start)
			return 0;
	}
	for (uint64_t address = 0; address < MODEL_BITS; address++) {
		const struct interval *found = intervals__find(set, address);

		while (i < set->count && set->items[i].end <= address)
			i++;
		if ((i < set->count && set->items[i].start <= address) != model[address])
			return 0;
		if (found != (model[address] ? &set->items[i] : NULL))
			return 0;
		bytes += model[address];
	}
	return set->count <= set->capacity && intervals__bytes(set) == bytes;
}

/* One random change of a set and its model. */
static int change(struct intervals *set, uint8_t *model)
{
	uint64_t random = random__next();
	uint64_t start = random % MODEL_BITS, length = (random >> 16) % 23, end;
	int add = (int)((random >> 32) & 1);

	if ((random >> 33) % 61 == 0) /* a large one now and then */
		length = (random >> 40) % MODEL_BITS;
	end = start + length < MODEL_BITS ? start + length : MODEL_BITS;
	memset(model + start, add, end - start);
	return add ? intervals__add(set, start, end) : intervals__remove(set, start, end);
}

/* Returns how many steps went well: STEPS, or less at the first mistake. */
static unsigned int walk(void)
{
	static uint8_t model[2][MODEL_BITS], common[MODEL_BITS], difference[MODEL_BITS],
		either[MODEL_BITS];
	struct intervals sets[2] = {{0}, {0}}, ret = {0};
	unsigned int step;

	memset(model, 0, sizeof(model));
	for (step = 0; step < STEPS; step++) {
		unsigned int which = random__next() & 1;

		if (change(&sets[which], model[which]) || !matches(&sets[which], model[which]))
			break;
		for (unsigned int i = 0; i < MODEL_BITS; i++) {
			common[i] = model[0][i] & model[1][i];
			difference[i] = model[0][i] & !model[1][i];
			either[i] = model[0][i] | model[1][i];
		}
		if (intervals__intersect(&sets[0], &sets[1], &ret) || !matches(&ret, common))
			break;
		if (intervals__subtract(&sets[0], &sets[1], &ret) || !matches(&ret, difference))
			break;
		if (intervals__copy(&sets[0], &ret) || intervals__unite(&ret, &sets[1]) ||
		    !matches(&ret, either))
			break;
	}
	intervals__clear(&sets[0]);
	intervals__clear(&sets[1]);
	intervals__clear(&ret);
	return step;
}

int main(int argc, char **argv)
{
	const uint64_t seed = random__seed_of(argc, argv, 20250923);

	tap__plan(43);
	test_add();
	test_remove();
	test_find();
	test_set_operations();
	test_unite();
	for (unsigned int i = 0; i < 3; i++) {
		random__seed(seed + i);
		tap__equal(walk(), STEPS, "a random walk, seed %" PRIu64, seed + i);
	}
	return tap__done();
}
