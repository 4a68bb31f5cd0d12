/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of slab caches: each rule of slab.h, in normal mode and, where it applies, in debug mode.
 * slab_error_test.c tests errors; slab_property_test.c tests random sequences.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>

#include "cache.h"
#include "counted.h"
#include "tap.h"

enum { OBJECTS = 230 };

#define PAGE ((size_t)PAGE_BYTES)

static void test_options(void)
{
	struct slab_cache *cache = NULL;
	const struct slab_options wrong[] = {
		{.object_bytes = 0},
		{.object_bytes = SIZE_MAX},
		{.object_bytes = (size_t)SLAB_MAX_BYTES + 1},
		{.object_bytes = 23, .align = 24},
		{.object_bytes = 23, .align = 4},
		{.object_bytes = 23, .align = 2 * PAGE},
		{.object_bytes = 23, .slab_bytes = 2048},
		{.object_bytes = 23, .slab_bytes = 5000},
		{.object_bytes = 23, .slab_bytes = (size_t)SLAB_MAX_BYTES * 2},
		{.object_bytes = 4097, .slab_bytes = 4096},
		{.object_bytes = 4090, .slab_bytes = 4096, .flags = SLAB_DEBUG},
		{.object_bytes = 23, .memory = {.get = counted__get}},
		{.object_bytes = 23, .memory = {.put = counted__put}},
	};
	const struct slab_options least = {.object_bytes = 1},
				  most = {.object_bytes = SLAB_MAX_BYTES};
	struct counted counted = {.limit_bytes = 1};
	struct slab_options dry = counted__options(&counted, 23);
	void *object;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		tap__ok(slab_cache__create(&wrong[i], &cache) == -EINVAL && !cache,
			"options that are not allowed, %zu", i);
	tap__ok(slab_cache__create(&dry, &cache) == -ENOMEM && !cache, "no memory for a cache");
	cache = cache__make(&least);
	tap__equal(cache__stats(cache).objects_per_slab, 8192, "objects of one byte, 8 apart");
	slab_cache__destroy(cache);
	cache = cache__make(&most);
	object = slab_cache__alloc(cache);
	tap__ok(object && cache__stats(cache).objects_per_slab == 1, "the largest object");
	tap__equal(slab_cache__free(cache, object), 0, "and its end");
	slab_cache__destroy(cache);
	slab_cache__destroy(NULL);
}

static void test_sizes(void)
{
	const size_t aligns[] = {8, 16, 64, 512, 4096};
	unsigned int wrong = 0;

	for (size_t bytes = 1; bytes < 3000; bytes = bytes * 3 / 2 + 1) {
		for (size_t i = 0; i < 2 * sizeof(aligns) / sizeof(*aligns); i++) {
			const struct slab_options options = {
				.object_bytes = bytes,
				.align = aligns[i / 2],
				.flags = i & 1 ? SLAB_DEBUG : 0,
			};
			struct slab_cache *cache = cache__make(&options);
			unsigned char *first = slab_cache__alloc(cache);
			unsigned char *second = slab_cache__alloc(cache);

			wrong += !first || !second || (uintptr_t)first % options.align ||
				 (uintptr_t)second % options.align ||
				 (size_t)(second - first) < bytes;
			if (first && second) {
				memset(first, 1, bytes);
				memset(second, 2, bytes);
				wrong += first[bytes - 1] != 1 || slab_cache__check(cache, NULL);
			}
			wrong += slab_cache__free(cache, second) != 0;
			wrong += slab_cache__free(cache, first) != 0;
			slab_cache__destroy(cache);
		}
	}
	tap__equal(wrong, 0, "objects of many sizes and alignments lie apart");
}

static void test_reuse(uint32_t flags)
{
	struct slab_options options = {.object_bytes = 256, .slab_bytes = 4096, .flags = flags};
	struct slab_cache *cache = cache__make(&options);
	void *objects[5], *again;

	for (int i = 0; i < 5; i++)
		objects[i] = slab_cache__alloc(cache);
	tap__equal(slab_cache__free(cache, objects[1]), 0, "one is freed (mode %u)", flags);
	tap__equal(slab_cache__free(cache, objects[3]), 0, "and another");
	again = slab_cache__alloc(cache);
	tap__ok(again == objects[3], "the last one freed comes first");
	again = slab_cache__alloc(cache);
	tap__ok(again == objects[1], "then the one before");
	tap__equal(slab_cache__free(cache, NULL), 0, "NULL does nothing");
	tap__equal(cache__stats(cache).allocated, 5, "five are allocated");
	slab_cache__destroy(cache);
}

/* Freed objects of any partial slab come before objects that were never used. */
static void test_order(void)
{
	struct slab_options options = {.object_bytes = 256, .slab_bytes = 4096};
	struct slab_cache *cache = cache__make(&options);
	void *objects[33], *again[3];

	for (int i = 0; i < 33; i++) /* two full slabs, and the first object of another */
		objects[i] = slab_cache__alloc(cache);
	(void)slab_cache__free(cache, objects[3]);
	(void)slab_cache__free(cache, objects[20]);
	for (int i = 0; i < 3; i++)
		again[i] = slab_cache__alloc(cache);
	tap__ok(again[0] == objects[3] && again[1] == objects[20], "what was freed comes first");
	tap__ok((char *)again[2] == (char *)objects[32] + 256, "then what was never used");
	for (int i = 0; i < 32; i++)
		(void)slab_cache__free(cache, objects[i]);
	again[0] = slab_cache__alloc(cache);
	tap__ok((char *)again[0] == (char *)again[2] + 256 && cache__stats(cache).empty == 2,
		"and an empty slab only after that");
	slab_cache__destroy(cache);
}

static void test_lists(uint32_t flags)
{
	struct counted counted = {0};
	struct slab_options options = counted__options(&counted, 256);
	struct slab_cache *cache;
	struct slab_stats stats;
	void *objects[OBJECTS];
	size_t per_slab, bytes, before;

	options.flags = flags;
	cache = cache__make(&options);
	per_slab = cache__stats(cache).objects_per_slab;
	for (size_t i = 0; i < OBJECTS; i++)
		objects[i] = slab_cache__alloc(cache);
	stats = cache__stats(cache);
	tap__ok(stats.slabs == (OBJECTS + per_slab - 1) / per_slab &&
			stats.full == OBJECTS / per_slab && stats.empty == 0 &&
			stats.partial == (OBJECTS % per_slab != 0),
		"full slabs and a partial one (mode %u)", flags);
	tap__ok(stats.allocated == OBJECTS && stats.most_slabs == stats.slabs &&
			stats.free == stats.slabs * per_slab - OBJECTS && stats.made == stats.slabs,
		"the numbers of objects");
	tap__ok(stats.bytes == counted.bytes && stats.bytes > stats.slabs * 4096,
		"the bytes are those of the callback");
	tap__equal(stats.fragmentation_permille,
		   (stats.slabs * PAGE - (size_t)OBJECTS * 256) * 1000 / (stats.slabs * PAGE),
		   "fragmentation");
	for (size_t i = 0; i < OBJECTS; i += per_slab)
		(void)slab_cache__free(cache, objects[i]);
	stats = cache__stats(cache);
	tap__ok(stats.full == 0 && stats.empty == 0 && stats.partial == stats.slabs,
		"one free object in each makes all of them partial");
	bytes = counted.bytes;
	for (size_t i = 0; i < OBJECTS; i++)
		if (i % per_slab)
			(void)slab_cache__free(cache, objects[i]);
	stats = cache__stats(cache);
	tap__ok(stats.slabs == SLAB_KEEP_EMPTY_DEFAULT && stats.empty == stats.slabs &&
			stats.allocated == 0 && stats.given_back == stats.made - stats.slabs,
		"empty slabs are given back, but for two");
	tap__ok(counted.bytes < bytes && counted.bytes == stats.bytes,
		"the callback has them back");
	before = counted.bytes;
	bytes = slab_cache__shrink(cache);
	tap__ok(before - counted.bytes == bytes && bytes / PAGE >= 2 && !cache__stats(cache).slabs,
		"shrink gives back those as well");
	tap__equal(slab_cache__shrink(cache), 0, "nothing is left for another");
	tap__ok(slab_cache__alloc(cache) != NULL, "it can go on after that");
	slab_cache__destroy(cache);
	tap__ok(counted.bytes == 0 && counted.gets == counted.puts, "destroy gives back all");
}

/* The records of slabs are memory as well, and must go with them. */
static void test_records_go(void)
{
	struct counted counted = {0};
	struct slab_options options = counted__options(&counted, 64);
	struct slab_cache *cache = cache__make(&options);
	enum { MANY = 100 * OBJECTS };
	static void *objects[MANY];
	size_t slabs, most, left;

	for (size_t i = 0; i < MANY; i++)
		objects[i] = slab_cache__alloc(cache);
	slabs = cache__stats(cache).slabs;
	most = counted.bytes;
	for (size_t i = 0; i < MANY; i++)
		(void)slab_cache__free(cache, objects[(i * 29) % MANY]);
	(void)slab_cache__shrink(cache);
	left = counted.bytes;
	tap__ok(most > slabs * PAGE * 103 / 100 && left < 10 * PAGE,
		"%zu bytes for %zu slabs, %zu are left without any", most, slabs, left);
	slab_cache__destroy(cache);
}

static void construct(void *object, void *argument)
{
	memset(object, 0x42, 40);
	++*(unsigned int *)argument;
}

static void test_constructor(uint32_t flags)
{
	unsigned int constructed = 0, wrong = 0;
	struct slab_options options = {.object_bytes = 40,
				       .slab_bytes = 4096,
				       .flags = flags,
				       .construct = construct,
				       .construct_argument = &constructed};
	struct slab_cache *cache = cache__make(&options);
	unsigned char *objects[23];

	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 23; i++) {
			objects[i] = slab_cache__alloc(cache);
			for (int k = 0; k < 40; k++)
				wrong += objects[i][k] != 0x42;
		}
		for (int i = 0; i < 23; i++)
			wrong += slab_cache__free(cache, objects[i]) != 0;
	}
	tap__equal(wrong, 0, "objects are as they were constructed (mode %u)", flags);
	tap__equal(constructed, 23, "each of them once");
	tap__equal(slab_cache__check(cache, NULL), 0, "nothing is damaged");
	slab_cache__destroy(cache);
}

/* ---- signals ---- */

static struct {
	struct slab_cache *own, *same;
	volatile unsigned int handled, refused, wrong;
} handler_data;

static void on_alarm(int sig)
{
	void *objects[7];

	(void)sig;
	for (int i = 0; i < 7; i++) {
		objects[i] = slab_cache__alloc(handler_data.own);
		if (objects[i])
			memset(objects[i], 0x55, 96);
		else
			handler_data.wrong++;
	}
	for (int i = 0; i < 7; i++)
		if (slab_cache__free(handler_data.own, objects[i]))
			handler_data.wrong++;
	objects[0] = slab_cache__alloc(handler_data.same);
	if (!objects[0])
		handler_data.refused++;
	else if (slab_cache__free(handler_data.same, objects[0]))
		handler_data.wrong++;
	handler_data.handled++;
}

/* A constructor runs in the middle of alloc, so a signal in it interrupts the cache. */
static void construct_with_signal(void *object, void *argument)
{
	(void)argument;
	memset(object, 0, 96);
	(void)raise(SIGALRM);
}

static void test_signals(void)
{
	struct slab_options options = {.object_bytes = 96, .slab_bytes = 4096};
	struct sigaction action = {.sa_handler = on_alarm}, ignore = {.sa_handler = SIG_IGN};
	struct itimerval often = {{0, 200}, {0, 200}}, never = {0};
	void *objects[OBJECTS];
	struct slab_cache *cache;
	unsigned int rounds = 0;

	options.construct = construct_with_signal;
	cache = handler_data.same = cache__make(&options);
	options.construct = NULL;
	handler_data.own = cache__make(&options);
	(void)sigaction(SIGALRM, &action, NULL);
	objects[0] = slab_cache__alloc(cache);
	tap__ok(objects[0] && handler_data.handled == 1 && handler_data.refused == 1,
		"a handler cannot enter the cache that it has interrupted");
	tap__ok(handler_data.wrong == 0, "it can use another one");
	slab_cache__destroy(cache);
	cache = handler_data.same = cache__make(&options);
	handler_data.handled = handler_data.refused = 0;
	(void)setitimer(ITIMER_REAL, &often, NULL);
	for (rounds = 0; rounds < 2300 || handler_data.handled < 23; rounds++) {
		for (int i = 0; i < OBJECTS; i++) {
			do
				objects[i] = slab_cache__alloc(cache);
			while (!objects[i]);
			memset(objects[i], 0xaa, 96);
		}
		for (int i = 0; i < OBJECTS; i++)
			if (slab_cache__free(cache, objects[i]))
				handler_data.wrong++;
	}
	(void)setitimer(ITIMER_REAL, &never, NULL);
	(void)sigaction(SIGALRM, &ignore, NULL); /* one may be on its way */
	tap__note("%u signals in %u rounds, %u inside a call for the same cache",
		  handler_data.handled, rounds, handler_data.refused);
	tap__equal(handler_data.wrong, 0, "signals at any time do no harm");
	tap__ok(slab_cache__check(cache, NULL) == 0 && cache__stats(cache).allocated == 0 &&
			slab_cache__check(handler_data.own, NULL) == 0,
		"both caches are sound");
	slab_cache__destroy(cache);
	slab_cache__destroy(handler_data.own);
}

static void add_view(const struct slab_view *view, void *argument)
{
	size_t *sums = argument;

	sums[0]++;
	sums[1] += view->used;
	sums[2] += view->number;
	sums[3] += view->objects;
}

static void test_visit(void)
{
	struct slab_options options = {.object_bytes = 256, .slab_bytes = 4096};
	struct slab_cache *cache = cache__make(&options);
	size_t sums[4] = {0};

	for (int i = 0; i < 23; i++)
		(void)slab_cache__alloc(cache);
	tap__equal(slab_cache__visit(cache, add_view, sums), 0, "a visit");
	tap__ok(sums[0] == 2 && sums[1] == 23 && sums[2] == 3 && sums[3] == 32,
		"of two slabs with 23 objects");
	slab_cache__destroy(cache);
}

int main(void)
{
	const uint32_t modes[] = {0, SLAB_DEBUG};

	tap__plan(68);
	test_options();
	test_sizes();
	test_order();
	for (int i = 0; i < 2; i++) {
		test_reuse(modes[i]);
		test_lists(modes[i]);
		test_constructor(modes[i]);
	}
	test_records_go();
	test_signals();
	test_visit();
	return tap__done();
}
