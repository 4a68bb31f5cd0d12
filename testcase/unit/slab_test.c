/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of slab caches: each rule and each error of slab.h, once in the mode that users run and once
 * in debug mode where both have it. slab_property_test.c tries what nobody thought of.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "slab/slab.h"
#include "tap.h"

enum { OBJECTS = 230 };

#define PAGE ((size_t)SLAB_PAGE_BYTES)

/* ---- a source of memory that counts, and that can run dry ---- */

struct counted {
	size_t gets, puts, bytes, limit_bytes;
	int refuse_puts;
};

static void *get_counted(size_t bytes, size_t alignment, void *argument)
{
	struct counted *counted = argument;
	void *start;

	if (counted->limit_bytes && counted->bytes + bytes > counted->limit_bytes)
		return NULL;
	start = aligned_alloc(alignment, bytes);
	if (!start)
		return NULL;
	memset(start, 0x17, bytes); /* its content does not matter */
	counted->gets++;
	counted->bytes += bytes;
	return start;
}

static int put_counted(void *start, size_t bytes, void *argument)
{
	struct counted *counted = argument;

	if (counted->refuse_puts)
		return -ENOMEM;
	free(start);
	counted->puts++;
	counted->bytes -= bytes;
	return 0;
}

static struct slab_options counting(struct counted *counted, size_t object_bytes)
{
	return (struct slab_options){
		.object_bytes = object_bytes,
		.slab_bytes = SLAB_MIN_BYTES,
		.memory = {get_counted, put_counted, counted},
	};
}

static struct slab_cache *make(const struct slab_options *options)
{
	struct slab_cache *cache = NULL;

	if (slab_cache__create(options, &cache))
		exit(2);
	return cache;
}

/* What a stray write does. The address sanitizer would rightly end the program here. */
__attribute__((no_sanitize("address"), noinline)) static void poke(void *address, long offset)
{
	((volatile unsigned char *)address)[offset] ^= 0x23;
}

static struct slab_stats stats_of(const struct slab_cache *cache)
{
	struct slab_stats stats;

	slab_cache__stats(cache, &stats);
	return stats;
}

/* ---- tests ---- */

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
		{.object_bytes = 23, .memory = {.get = get_counted}},
		{.object_bytes = 23, .memory = {.put = put_counted}},
	};
	const struct slab_options least = {.object_bytes = 1},
				  most = {.object_bytes = SLAB_MAX_BYTES};
	struct counted counted = {.limit_bytes = 1};
	struct slab_options dry = counting(&counted, 23);
	void *object;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		tap__ok(slab_cache__create(&wrong[i], &cache) == -EINVAL && !cache,
			"options that are not allowed, %zu", i);
	tap__ok(slab_cache__create(&dry, &cache) == -ENOMEM && !cache, "no memory for a cache");
	cache = make(&least);
	tap__equal(stats_of(cache).objects_per_slab, 8192, "objects of one byte, 8 apart");
	slab_cache__destroy(cache);
	cache = make(&most);
	object = slab_cache__alloc(cache);
	tap__ok(object && stats_of(cache).objects_per_slab == 1, "the largest object");
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
			struct slab_cache *cache = make(&options);
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
	struct slab_cache *cache = make(&options);
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
	tap__equal(stats_of(cache).allocated, 5, "five are allocated");
	slab_cache__destroy(cache);
}

/* Free objects of any partial slab come before those that were never used. */
static void test_order(void)
{
	struct slab_options options = {.object_bytes = 256, .slab_bytes = 4096};
	struct slab_cache *cache = make(&options);
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
	tap__ok((char *)again[0] == (char *)again[2] + 256 && stats_of(cache).empty == 2,
		"and an empty slab only after that");
	slab_cache__destroy(cache);
}

static void test_wrong_pointers(uint32_t flags)
{
	struct slab_options options = {.object_bytes = 100, .slab_bytes = 4096, .flags = flags};
	struct slab_cache *cache = make(&options), *other = make(&options);
	unsigned char *object = slab_cache__alloc(cache), *foreign = slab_cache__alloc(other);
	const uintptr_t nowhere[] = {1,
				     8,
				     4095,
				     4096,
				     0x7fffffffffff,
				     UINTPTR_MAX,
				     UINTPTR_MAX - 4095,
				     (uintptr_t)1 << 63};
	size_t stride = stats_of(cache).stride_bytes;
	unsigned int refused = 0, none = 0;
	int local;

	tap__equal(slab_cache__free(cache, &local), -EINVAL, "a pointer to the stack (mode %u)",
		   flags);
	tap__equal(slab_cache__free(cache, foreign), -EINVAL, "an object of another cache");
	tap__equal(slab_cache__free(cache, cache), -EINVAL, "the cache itself");
	for (size_t i = 0; i < sizeof(nowhere) / sizeof(*nowhere); i++)
		refused += slab_cache__free(cache, (void *)nowhere[i]) == -EINVAL;
	tap__equal(refused, sizeof(nowhere) / sizeof(*nowhere), "addresses of nothing");
	refused = 0;
	for (uintptr_t i = (uintptr_t)object & ~(uintptr_t)4095, end = i + 4096; i < end; i++) {
		if ((i - (uintptr_t)object) % stride == 0 && i >= (uintptr_t)object &&
		    i + stride <= end)
			continue;
		refused += slab_cache__free(cache, (void *)i) == -EINVAL;
		none += slab_cache__state(cache, (void *)i) == SLAB_OBJECT_NONE;
	}
	tap__equal(refused, 4096 - 4096 / stride, "each address of the slab that starts no object");
	tap__equal(none, 4096 - 4096 / stride, "it has no state either");
	tap__equal(slab_cache__free(cache, object + stride), -EALREADY, "one never handed out");
	tap__equal(slab_cache__free(cache, object), 0, "the right one");
	tap__equal(slab_cache__free(cache, object), -EALREADY, "twice");
	tap__ok(stats_of(cache).allocated == 0 && stats_of(cache).frees == 1 &&
			slab_cache__check(cache, NULL) == 0,
		"the cache is as it was");
	(void)slab_cache__shrink(cache);
	tap__equal(slab_cache__free(cache, object), -EINVAL, "its slab was given back");
	slab_cache__destroy(cache);
	slab_cache__destroy(other);
}

/* One stray write to an allocated object; says what free does with it. */
static void test_stray(size_t bytes, long offset, int wanted)
{
	struct slab_options options = {
		.object_bytes = bytes, .slab_bytes = 4096, .flags = SLAB_DEBUG};
	struct slab_cache *cache = make(&options);
	unsigned char *object, *next;
	void *found = NULL;

	(void)slab_cache__alloc(cache);
	object = slab_cache__alloc(cache);
	next = slab_cache__alloc(cache);
	poke(object, offset);
	tap__equal(slab_cache__check(cache, &found), wanted, "%zu bytes, a write at %ld: check",
		   bytes, offset);
	tap__ok(found == (wanted ? object : NULL), "it tells the object");
	tap__equal(slab_cache__free(cache, object), wanted, "free says the same");
	tap__equal(slab_cache__state(cache, object),
		   wanted ? SLAB_OBJECT_DAMAGED : SLAB_OBJECT_FREE, "its state");
	tap__equal(slab_cache__free(cache, object), -EALREADY, "it cannot be freed again");
	tap__equal(slab_cache__free(cache, next), 0, "its neighbour can");
	tap__ok(stats_of(cache).damaged == (wanted != 0) && stats_of(cache).allocated == 1 &&
			slab_cache__check(cache, NULL) == 0,
		"it is counted");
	tap__ok((slab_cache__alloc(cache) == object) == 0 && stats_of(cache).allocated == 2,
		"the next alloc has another one");
	slab_cache__destroy(cache);
}

static void test_write_after_free(void)
{
	struct slab_options options = {.object_bytes = 48, .slab_bytes = 4096, .flags = SLAB_DEBUG};
	struct slab_cache *cache = make(&options);
	void *object = slab_cache__alloc(cache), *found = NULL;

	(void)slab_cache__free(cache, object);
	poke(object, 47);
	tap__ok(slab_cache__check(cache, &found) == -EUCLEAN && found == object,
		"a write after free is found by a check");
	tap__ok(slab_cache__alloc(cache) != object, "the object is not handed out again");
	tap__ok(stats_of(cache).damaged == 1 && stats_of(cache).allocated == 1,
		"it is counted as damaged");
	tap__equal(slab_cache__state(cache, object), SLAB_OBJECT_DAMAGED, "and has that state");
	tap__equal(slab_cache__check(cache, NULL), 0, "a check passes it over");
	tap__equal(slab_cache__shrink(cache), 0, "its slab is never empty again");
	slab_cache__destroy(cache);
}

static void test_lists(uint32_t flags)
{
	struct counted counted = {0};
	struct slab_options options = counting(&counted, 256);
	struct slab_cache *cache;
	struct slab_stats stats;
	void *objects[OBJECTS];
	size_t per_slab, bytes, before;

	options.flags = flags;
	cache = make(&options);
	per_slab = stats_of(cache).objects_per_slab;
	for (size_t i = 0; i < OBJECTS; i++)
		objects[i] = slab_cache__alloc(cache);
	stats = stats_of(cache);
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
	stats = stats_of(cache);
	tap__ok(stats.full == 0 && stats.empty == 0 && stats.partial == stats.slabs,
		"one free object in each makes all of them partial");
	bytes = counted.bytes;
	for (size_t i = 0; i < OBJECTS; i++)
		if (i % per_slab)
			(void)slab_cache__free(cache, objects[i]);
	stats = stats_of(cache);
	tap__ok(stats.slabs == SLAB_KEEP_EMPTY_DEFAULT && stats.empty == stats.slabs &&
			stats.allocated == 0 && stats.given_back == stats.made - stats.slabs,
		"empty slabs are given back, but for two");
	tap__ok(counted.bytes < bytes && counted.bytes == stats.bytes,
		"the callback has them back");
	before = counted.bytes;
	bytes = slab_cache__shrink(cache);
	tap__ok(before - counted.bytes == bytes && bytes / PAGE >= 2 && !stats_of(cache).slabs,
		"shrink gives back those as well");
	tap__equal(slab_cache__shrink(cache), 0, "nothing is left for another");
	tap__ok(slab_cache__alloc(cache) != NULL, "it can go on after that");
	slab_cache__destroy(cache);
	tap__ok(counted.bytes == 0 && counted.gets == counted.puts, "destroy gives back all");
}

static void test_no_memory(void)
{
	struct counted counted = {0};
	struct slab_options options = counting(&counted, 512);
	struct slab_cache *cache = make(&options);
	unsigned int count = 0, failed = 0;
	void *last = NULL, *object;

	/* at each amount of memory up to a few slabs, an alloc fails or works, and nothing breaks */
	for (size_t limit = counted.bytes; limit < counted.bytes + 12 * PAGE; limit += PAGE) {
		counted.limit_bytes = limit;
		while ((object = slab_cache__alloc(cache)) != NULL) {
			last = object;
			count++;
		}
		failed++;
		if (slab_cache__check(cache, NULL) || counted.bytes > limit)
			break;
	}
	tap__ok(count > 0 && stats_of(cache).failed == failed && stats_of(cache).allocated == count,
		"without memory alloc gives NULL, and says how often");
	tap__ok(slab_cache__free(cache, last) == 0 && slab_cache__alloc(cache) == last,
		"what was freed can be had again");
	slab_cache__destroy(cache);
	tap__equal(counted.bytes, 0, "all is given back");
}

/* What is known of slabs is memory as well, and must not stay when they have gone. */
static void test_records_go(void)
{
	struct counted counted = {0};
	struct slab_options options = counting(&counted, 64);
	struct slab_cache *cache = make(&options);
	enum { MANY = 100 * OBJECTS };
	static void *objects[MANY];
	size_t slabs, most, left;

	for (size_t i = 0; i < MANY; i++)
		objects[i] = slab_cache__alloc(cache);
	slabs = stats_of(cache).slabs;
	most = counted.bytes;
	for (size_t i = 0; i < MANY; i++)
		(void)slab_cache__free(cache, objects[(i * 29) % MANY]);
	(void)slab_cache__shrink(cache);
	left = counted.bytes;
	tap__ok(most > slabs * PAGE * 103 / 100 && left < 10 * PAGE,
		"%zu bytes for %zu slabs, %zu are left without any", most, slabs, left);
	slab_cache__destroy(cache);
}

static void test_refused_put(void)
{
	struct counted counted = {0};
	struct slab_options options = counting(&counted, 512);
	struct slab_cache *cache = make(&options);
	void *objects[OBJECTS];
	size_t slabs;

	for (size_t i = 0; i < OBJECTS; i++)
		objects[i] = slab_cache__alloc(cache);
	slabs = stats_of(cache).slabs;
	counted.refuse_puts = 1;
	for (size_t i = 0; i < OBJECTS; i++)
		(void)slab_cache__free(cache, objects[i]);
	tap__ok(stats_of(cache).empty == slabs && stats_of(cache).given_back == 0 &&
			slab_cache__shrink(cache) == 0 && slab_cache__check(cache, NULL) == 0,
		"slabs that the callback does not take back stay in use");
	for (size_t i = 0; i < OBJECTS; i++)
		objects[i] = slab_cache__alloc(cache);
	tap__equal(stats_of(cache).made, slabs, "and are used again");
	counted.refuse_puts = 0;
	slab_cache__destroy(cache);
	tap__equal(counted.bytes, 0, "all is given back in the end");
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
	struct slab_cache *cache = make(&options);
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

/* A constructor is in the middle of alloc: a signal that arrives in it has interrupted the cache. */
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
	cache = handler_data.same = make(&options);
	options.construct = NULL;
	handler_data.own = make(&options);
	(void)sigaction(SIGALRM, &action, NULL);
	objects[0] = slab_cache__alloc(cache);
	tap__ok(objects[0] && handler_data.handled == 1 && handler_data.refused == 1,
		"a handler cannot enter the cache that it has interrupted");
	tap__ok(handler_data.wrong == 0, "it can use another one");
	slab_cache__destroy(cache);
	cache = handler_data.same = make(&options);
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
	tap__ok(slab_cache__check(cache, NULL) == 0 && stats_of(cache).allocated == 0 &&
			slab_cache__check(handler_data.own, NULL) == 0,
		"both caches are sound");
	slab_cache__destroy(cache);
	slab_cache__destroy(handler_data.own);
}

static void test_errno(void)
{
	struct slab_options options = {.object_bytes = (size_t)60 << 20};
	struct slab_cache *cache = make(&options);
	unsigned int count = 0;

	errno = 23;
	for (; count < 7; count++)
		(void)slab_cache__free(cache, slab_cache__alloc(cache));
	(void)slab_cache__free(cache, &count);
	slab_cache__destroy(cache);
	tap__equal(errno, 23, "errno is not touched");
	for (int err = 0; err > -140; err--)
		if (slab_cache__strerror(err)[0] == '\0')
			count++;
	tap__equal(count, 7, "each error has a sentence");
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
	struct slab_cache *cache = make(&options);
	size_t sums[4] = {0};

	for (int i = 0; i < 23; i++)
		(void)slab_cache__alloc(cache);
	tap__equal(slab_cache__visit(cache, add_view, sums), 0, "a visit");
	tap__ok(sums[0] == 2 && sums[1] == 23 && sums[2] == 3 && sums[3] == 32,
		"of two slabs with 23 objects");
	slab_cache__destroy(cache);
}

/* ---- the address sanitizer ---- */

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>

static void test_sanitizer(void)
{
	struct slab_options options = {.object_bytes = 43, .slab_bytes = 4096, .flags = SLAB_DEBUG};
	struct slab_cache *cache = make(&options);
	char *object = slab_cache__alloc(cache), *next = slab_cache__alloc(cache);

	tap__ok(!__asan_region_is_poisoned(object, 43), "an allocated object can be used");
	tap__ok(__asan_address_is_poisoned(object + 43) && __asan_address_is_poisoned(object - 1),
		"what lies around it cannot");
	(void)slab_cache__free(cache, object);
	tap__ok(__asan_address_is_poisoned(object) && __asan_address_is_poisoned(object + 42) &&
			!__asan_region_is_poisoned(next, 43),
		"nor can it when it is free");
	tap__ok(slab_cache__alloc(cache) == object && !__asan_region_is_poisoned(object, 43),
		"handed out again, it can");
	(void)slab_cache__free(cache, object);
	(void)slab_cache__free(cache, next);
	(void)slab_cache__shrink(cache);
	slab_cache__destroy(cache);
	object = mmap((void *)((uintptr_t)next & ~(uintptr_t)4095), 4096, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	tap__ok(object == MAP_FAILED || !__asan_region_is_poisoned(object, 4096),
		"the next user of the addresses of a slab is not disturbed");
	if (object != MAP_FAILED)
		(void)munmap(object, 4096);
}
#else
static void test_sanitizer(void)
{
	tap__skip(5, "built without the address sanitizer; make sanitize runs it");
}
#endif

int main(void)
{
	const uint32_t modes[] = {0, SLAB_DEBUG};

	tap__plan(165);
	test_options();
	test_sizes();
	test_order();
	for (int i = 0; i < 2; i++) {
		test_reuse(modes[i]);
		test_wrong_pointers(modes[i]);
		test_lists(modes[i]);
		test_constructor(modes[i]);
	}
	test_stray(48, 0, 0);
	test_stray(48, 47, 0);
	test_stray(48, 48, -EOVERFLOW);
	test_stray(48, 63, -EOVERFLOW);
	test_stray(48, -1, -ERANGE);
	test_stray(48, -16, -ERANGE);
	test_stray(41, 41, -EOVERFLOW);
	test_write_after_free();
	test_no_memory();
	test_records_go();
	test_refused_put();
	test_signals();
	test_errno();
	test_visit();
	test_sanitizer();
	return tap__done();
}
