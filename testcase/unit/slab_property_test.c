/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Random walks of slab caches of random shapes. A model knows the allocated objects and their
 * content. After each step the numbers are compared, now and then everything. Errors happen at
 * random: no memory, memory that cannot be given back, wrong pointers, and in debug mode stray
 * writes. The seed is printed; run with a seed as argument to repeat.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "cache.h"
#include "counted.h"
#include "random.h"
#include "tap.h"

enum { STEPS = 2300, WALKS = 23, MOST = 613, GONE = 61 };

struct walk {
	struct slab_cache *cache;
	struct slab_options options;
	struct {
		unsigned char *object;
		unsigned char tag; /* each byte of it is that */
	} live[MOST];
	size_t count;
	unsigned char *gone[GONE]; /* some that were freed; NULL: none yet */
	size_t damaged;
	uint64_t allocs, frees;
	struct counted memory;
	unsigned int pressure; /* percent of steps that alloc */
};

/* ---- the model ---- */

static bool is_live(const struct walk *walk, const void *object)
{
	for (size_t i = 0; i < walk->count; i++)
		if (walk->live[i].object == object)
			return true;
	return false;
}

static bool is_intact(const struct walk *walk, size_t index)
{
	const unsigned char *object = walk->live[index].object;

	for (size_t i = 0; i < walk->options.object_bytes; i++)
		if (object[i] != walk->live[index].tag)
			return false;
	return true;
}

/* Takes an object out of the model. */
static unsigned char *forget(struct walk *walk, size_t index)
{
	unsigned char *object = walk->live[index].object;

	walk->live[index] = walk->live[--walk->count];
	walk->gone[random__below(GONE)] = object;
	return object;
}

static bool numbers_agree(const struct walk *walk)
{
	const struct slab_stats stats = cache__stats(walk->cache);

	return stats.allocated == walk->count && stats.damaged == walk->damaged &&
	       stats.allocs == walk->allocs && stats.frees == walk->frees &&
	       stats.bytes == walk->memory.bytes &&
	       stats.slabs == stats.full + stats.partial + stats.empty &&
	       stats.slabs == stats.made - stats.given_back &&
	       stats.slabs * stats.objects_per_slab == stats.allocated + stats.free + stats.damaged;
}

static bool everything_agrees(struct walk *walk)
{
	for (size_t i = 0; i < walk->count; i++)
		if (!is_intact(walk, i) ||
		    slab_cache__state(walk->cache, walk->live[i].object) != SLAB_OBJECT_ALLOCATED)
			return false;
	for (size_t i = 0; i < GONE; i++)
		if (walk->gone[i] && !is_live(walk, walk->gone[i]) &&
		    slab_cache__state(walk->cache, walk->gone[i]) == SLAB_OBJECT_ALLOCATED)
			return false;
	return slab_cache__check(walk->cache, NULL) == 0;
}

/* ---- steps: false when something is wrong ---- */

static bool alloc_one(struct walk *walk)
{
	struct slab_stats before;
	unsigned char *object;
	size_t bytes = walk->options.object_bytes;

	if (walk->count == MOST)
		return true;
	slab_cache__stats(walk->cache, &before);
	object = slab_cache__alloc(walk->cache);
	if (!object)
		return walk->memory.dry && before.free == 0;
	if ((uintptr_t)object % walk->options.align || is_live(walk, object))
		return false;
	walk->allocs++;
	walk->live[walk->count].object = object;
	walk->live[walk->count].tag = (unsigned char)random__next();
	memset(object, walk->live[walk->count].tag, bytes);
	walk->count++;
	return true;
}

static bool free_one(struct walk *walk)
{
	struct slab_stats before, after;
	size_t index;

	if (!walk->count)
		return true;
	index = random__below(walk->count);
	if (!is_intact(walk, index))
		return false;
	slab_cache__stats(walk->cache, &before);
	if (slab_cache__free(walk->cache, forget(walk, index)))
		return false;
	walk->frees++;
	slab_cache__stats(walk->cache, &after);
	return walk->memory.refuse_puts || after.empty <= walk->options.keep_empty ||
	       after.empty <= before.empty;
}

/* Frees a random pointer, which is refused unless it is a live object. */
static bool free_wrong(struct walk *walk)
{
	unsigned char *object = walk->gone[random__below(GONE)];
	int err;

	if (walk->count && random__below(2))
		object = walk->live[random__below(walk->count)].object + random__below(8192) - 4096;
	else if (random__below(5) == 0)
		object = (unsigned char *)(uintptr_t)random__next();
	if (!object || is_live(walk, object))
		return true;
	err = slab_cache__free(walk->cache, object);
	return err == -SLAB_NO_OBJECT || err == -SLAB_FREE_ALREADY;
}

static void poke(unsigned char *object, long offset)
{
	cache__poke(object, offset, (unsigned char)(1 + random__below(255)));
}

/* Each stray write is found: around an object when it is freed, in a free one by a check. */
static bool damage_one(struct walk *walk)
{
	unsigned char *object;
	bool behind = random__below(2);

	if (!(walk->options.flags & SLAB_DEBUG) || !walk->count || random__below(23))
		return true;
	object = forget(walk, random__below(walk->count));
	if (random__below(3) == 0) {
		void *found = NULL;

		walk->frees++;
		if (slab_cache__free(walk->cache, object) ||
		    slab_cache__state(walk->cache, object) == SLAB_OBJECT_NONE)
			return slab_cache__state(walk->cache, object) == SLAB_OBJECT_NONE;
		walk->memory.dry = false;
		poke(object, (long)random__below(walk->options.object_bytes));
		if (slab_cache__check(walk->cache, &found) != -SLAB_WRITTEN_FREE || found != object)
			return false;
		/* the alloc that comes upon it takes it out of use */
		while (slab_cache__state(walk->cache, object) == SLAB_OBJECT_FREE) {
			size_t count = walk->count;

			if (!alloc_one(walk))
				return false;
			if (walk->count == count && count == MOST)
				(void)free_one(walk);
		}
		walk->damaged++;
		return slab_cache__state(walk->cache, object) == SLAB_OBJECT_DAMAGED;
	}
	poke(object, behind ? (long)(walk->options.object_bytes + random__below(16))
			    : -1 - (long)random__below(16));
	walk->frees++;
	walk->damaged++;
	return slab_cache__free(walk->cache, object) ==
		       (behind ? -SLAB_WRITTEN_BEHIND : -SLAB_WRITTEN_BEFORE) &&
	       slab_cache__state(walk->cache, object) == SLAB_OBJECT_DAMAGED;
}

static bool step(struct walk *walk)
{
	uint64_t random = random__below(100);

	if (random__below(97) == 0)
		walk->pressure = 10 + (unsigned int)random__below(80);
	walk->memory.dry = random__below(walk->memory.dry ? 20 : 200) == 0 ? !walk->memory.dry
									   : walk->memory.dry;
	walk->memory.refuse_puts = random__below(walk->memory.refuse_puts ? 20 : 300) == 0
					   ? !walk->memory.refuse_puts
					   : walk->memory.refuse_puts;
	if (random < 5)
		return free_wrong(walk);
	if (random < 6)
		(void)slab_cache__shrink(walk->cache);
	else if (random < 8)
		return damage_one(walk);
	return random__below(100) < walk->pressure ? alloc_one(walk) : free_one(walk);
}

/* ---- walks ---- */

static void choose_shape(struct walk *walk, uint32_t flags)
{
	size_t bytes = 1 + random__below(random__below(4) ? 300 : 6000);

	walk->options = (struct slab_options){
		.object_bytes = bytes,
		.align = (size_t)8 << random__below(random__below(4) ? 3 : 8),
		.slab_bytes = (size_t)SLAB_MIN_BYTES << random__below(3),
		.keep_empty = 1 + random__below(4),
		.flags = flags,
		.memory = counted__memory(&walk->memory),
	};
	walk->pressure = 60;
}

/* Returns how many steps went well: STEPS, or less at the first mistake. */
static unsigned int take_walk(struct walk *walk, uint32_t flags)
{
	unsigned int steps = 0;

	*walk = (struct walk){0};
	do
		choose_shape(walk, flags);
	while (slab_cache__create(&walk->options, &walk->cache));
	while (steps < STEPS && step(walk) && numbers_agree(walk) &&
	       (steps % 61 || everything_agrees(walk)))
		steps++;
	walk->memory.refuse_puts = false;
	slab_cache__destroy(walk->cache);
	return walk->memory.bytes ? 0 : steps;
}

int main(int argc, char **argv)
{
	const uint32_t modes[] = {0, SLAB_DEBUG};
	static struct walk walk;
	const uint64_t seed = random__seed_of(argc, argv, 20261121);

	tap__plan(2 * WALKS);
	for (unsigned int i = 0; i < 2 * WALKS; i++) {
		random__seed(seed + i);
		tap__equal(take_walk(&walk, modes[i % 2]), STEPS,
			   "seed %" PRIu64 ": %zu bytes, aligned to %zu, in slabs of %zu%s",
			   seed + i, walk.options.object_bytes, walk.options.align,
			   walk.options.slab_bytes, i % 2 ? ", debug mode" : "");
	}
	return tap__done();
}
