/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of heaps of slab caches: sizes, errors and larger objects, then a random walk that is
 * compared with a model. The seed is printed; run with a seed as argument to repeat.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "counted.h"
#include "random.h"
#include "slab/slab_heap.h"
#include "tap.h"

enum { STEPS = 6100, MOST = 307, MOST_BYTES = 40000 };

static struct slab_heap *make(struct counted *counted, uint32_t flags)
{
	const struct slab_memory memory = counted__memory(counted);
	struct slab_heap *heap = NULL;

	must(slab_heap__create(counted ? &memory : NULL, flags, &heap));
	return heap;
}

static struct slab_heap_stats stats_of(const struct slab_heap *heap)
{
	struct slab_heap_stats stats;

	slab_heap__stats(heap, &stats);
	return stats;
}

static bool is_sound(struct slab_heap *heap)
{
	for (unsigned int i = 0; i < SLAB_HEAP_CACHES; i++)
		if (slab_cache__check(slab_heap__cache(heap, i), NULL))
			return false;
	return slab_heap__cache(heap, SLAB_HEAP_CACHES) == NULL;
}

static void test_create(void)
{
	const struct slab_memory half = {.get = counted__get};
	struct counted counted = {.dry = true};
	const struct slab_memory dry = counted__memory(&counted);
	struct slab_heap *heap = NULL;

	tap__ok(slab_heap__create(&half, 0, &heap) == -EINVAL && !heap, "one function of two");
	tap__ok(slab_heap__create(&dry, 0, &heap) == -ENOMEM && !heap, "no memory");
	slab_heap__destroy(NULL);
}

static void test_sizes(uint32_t flags)
{
	struct slab_heap *heap = make(NULL, flags);
	static unsigned char *objects[MOST];
	unsigned int wrong = 0;
	size_t bytes = 0;

	for (size_t i = 0; i < MOST; i++, bytes += 1 + bytes / 23) {
		objects[i] = slab_heap__alloc(heap, bytes % MOST_BYTES);
		wrong += !objects[i] || (uintptr_t)objects[i] % 16;
		if (objects[i])
			memset(objects[i], (int)i, bytes % MOST_BYTES);
	}
	tap__equal(wrong, 0, "objects of all sizes (mode %u)", flags);
	bytes = 0;
	for (size_t i = 0; i < MOST; i++, bytes += 1 + bytes / 23) {
		for (size_t k = 0; k < bytes % MOST_BYTES; k++)
			wrong += objects[i][k] != (unsigned char)i;
		wrong += slab_heap__free(heap, objects[i]) != 0;
	}
	tap__equal(wrong, 0, "none of them has another one's bytes");
	tap__ok(is_sound(heap) && stats_of(heap).allocated == 0 && stats_of(heap).large == 0,
		"all are free again");
	(void)slab_heap__shrink(heap);
	tap__ok(slab_heap__alloc(heap, SIZE_MAX) == NULL &&
			slab_heap__alloc(heap, PTRDIFF_MAX) == NULL,
		"more than there can be");
	slab_heap__destroy(heap);
}

static void test_errors(uint32_t flags)
{
	struct slab_heap *heap = make(NULL, flags), *other = make(NULL, flags);
	unsigned char *small = slab_heap__alloc(heap, 100), *large = slab_heap__alloc(heap, 100000);
	unsigned int refused = 0;
	int local;

	for (unsigned int i = 0; i < SLAB_HEAP_CACHES; i++)
		refused += slab_cache__free(slab_heap__cache(heap, i), small) == -SLAB_NO_OBJECT;
	tap__equal(refused, SLAB_HEAP_CACHES - 1, "no other cache takes an object (mode %u)",
		   flags);
	tap__equal(slab_heap__free(heap, small), -SLAB_FREE_ALREADY, "it was freed by its own");
	tap__equal(slab_heap__free(heap, NULL), 0, "NULL does nothing");
	tap__equal(slab_heap__free(heap, &local), -SLAB_NO_OBJECT, "a pointer to the stack");
	tap__equal(slab_heap__free(other, large), -SLAB_NO_OBJECT, "an object of another heap");
	tap__equal(slab_heap__free(heap, large + 16), -SLAB_NO_OBJECT,
		   "one inside of a larger object");
	tap__equal(slab_heap__free(heap, large + 70000), -SLAB_NO_OBJECT, "one far inside");
	tap__equal(slab_heap__free(heap, large), 0, "a larger object");
	tap__equal(slab_heap__free(heap, large), -SLAB_NO_OBJECT, "nothing is left of it");
	tap__ok(!slab_heap__resize(heap, large, 10) && !slab_heap__resize(heap, small, 10) &&
			!slab_heap__resize(heap, &local, 10),
		"what is not allocated cannot be resized");
	slab_heap__destroy(heap);
	slab_heap__destroy(other);
}

static void test_resize(void)
{
	struct slab_heap *heap = make(NULL, 0);
	unsigned char *object = slab_heap__resize(heap, NULL, 1), *moved;
	unsigned int wrong = 0;

	for (size_t bytes = 1; bytes < 200000; bytes = bytes * 3 / 2 + 1) {
		if (!object)
			break;
		memset(object, (int)bytes, bytes);
		moved = slab_heap__resize(heap, object, bytes * 3 / 2 + 1);
		for (size_t k = 0; k < bytes; k++)
			wrong += !moved || moved[k] != (unsigned char)bytes;
		object = moved;
	}
	tap__ok(object && wrong == 0, "content stays when an object grows");
	if (!object)
		exit(2);
	tap__equal(stats_of(heap).allocated, 1, "and there is still only one");
	memset(object, 0x23, 40);
	moved = slab_heap__resize(heap, object, 40);
	tap__ok(moved && moved != object && moved[0] == 0x23 && moved[39] == 0x23 &&
			stats_of(heap).large == 0,
		"a large one becomes small");
	tap__ok(slab_heap__resize(heap, moved, 45) == moved, "what fits stays where it is");
	slab_heap__destroy(heap);
}

static void test_memory(void)
{
	struct counted counted = {0};
	struct slab_heap *heap = make(&counted, 0);
	void *large = slab_heap__alloc(heap, 50000), *small = slab_heap__alloc(heap, 100), *again;

	tap__ok(counted.bytes == stats_of(heap).bytes && stats_of(heap).large_bytes == 53248,
		"the bytes are those of the callback");
	counted.dry = true;
	tap__ok(!slab_heap__alloc(heap, 50000) && !slab_heap__alloc(heap, 300) &&
			!slab_heap__resize(heap, small, 50000) && stats_of(heap).failed == 3,
		"without memory there is nothing");
	again = slab_heap__alloc(heap, 100);
	tap__ok(again && stats_of(heap).allocated == 3, "but from a slab that is there");
	counted.dry = false;
	counted.refuse_puts = true;
	tap__ok(slab_heap__free(heap, large) == -ENOMEM && stats_of(heap).large == 1,
		"a larger object that is not taken back stays");
	counted.refuse_puts = false;
	tap__ok(slab_heap__free(heap, large) == 0 && stats_of(heap).large == 0, "until it is");
	(void)slab_heap__alloc(heap, 50000);
	slab_heap__destroy(heap);
	tap__equal(counted.bytes, 0, "destroy gives back all, what is allocated included");
}

/* ---- the walk ---- */

struct item {
	unsigned char *object, tag;
	size_t bytes;
};

static void fill(struct item *item)
{
	item->tag = (unsigned char)random__next();
	memset(item->object, item->tag, item->bytes);
}

static bool holds(const struct item *item, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (item->object[i] != item->tag)
			return false;
	return true;
}

static size_t random_size(void)
{
	return random__below(23) ? random__below(random__below(3) ? 300 : 9000)
				 : random__below(MOST_BYTES);
}

/* false when something is wrong */
static bool step(struct slab_heap *heap, struct item *items, size_t *count, const bool *dry)
{
	struct item *item = &items[random__below(*count + 1)];

	if (item == &items[*count]) {
		item->bytes = random_size();
		item->object = *count < MOST ? slab_heap__alloc(heap, item->bytes) : NULL;
		if (!item->object)
			return *count == MOST || *dry;
		fill(item);
		++*count;
		return true;
	}
	if (!holds(item, item->bytes))
		return false;
	if (random__below(2)) {
		size_t bytes = random_size();
		unsigned char *moved = slab_heap__resize(heap, item->object, bytes);

		if (!moved)
			return *dry && holds(item, item->bytes);
		item->object = moved;
		if (!holds(item, item->bytes < bytes ? item->bytes : bytes))
			return false;
		item->bytes = bytes;
		fill(item);
		return true;
	}
	if (random__below(MOST) < *count) { /* so that there are some most of the time */
		void *object = item->object;

		*item = items[--*count];
		return slab_heap__free(heap, object) == 0 && slab_heap__free(heap, object) < 0;
	}
	return true;
}

static unsigned int take_walk(uint32_t flags)
{
	static struct item items[MOST + 1];
	struct counted counted = {0};
	struct slab_heap *heap = make(&counted, flags);
	unsigned int steps = 0;
	size_t count = 0;

	while (steps < STEPS) {
		struct slab_heap_stats stats;

		counted.dry =
			random__below(counted.dry ? 20 : 200) == 0 ? !counted.dry : counted.dry;
		if (!step(heap, items, &count, &counted.dry))
			break;
		stats = stats_of(heap);
		if (stats.allocated != count || stats.bytes != counted.bytes)
			break;
		if (steps % 97 == 0 && !is_sound(heap))
			break;
		steps++;
	}
	slab_heap__destroy(heap);
	return counted.bytes ? 0 : steps;
}

int main(int argc, char **argv)
{
	const uint32_t modes[] = {0, SLAB_DEBUG};
	const uint64_t seed = random__seed_of(argc, argv, 20261121);

	tap__plan(47);
	test_create();
	for (unsigned int i = 0; i < 2; i++) {
		test_sizes(modes[i]);
		test_errors(modes[i]);
	}
	test_resize();
	test_memory();
	for (unsigned int i = 0; i < 7; i++) {
		random__seed(seed + i);
		tap__equal(take_walk(modes[i % 2]), STEPS, "a random walk, seed %" PRIu64 "%s",
			   seed + i, i % 2 ? ", debug mode" : "");
	}
	return tap__done();
}
