/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of the errors of slab caches: wrong pointers, stray writes, no memory, memory that is not
 * taken back. After each error the cache goes on.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "cache.h"
#include "counted.h"
#include "tap.h"

enum { OBJECTS = 230 };

#define PAGE ((size_t)PAGE_BYTES)

static void test_wrong_pointers(uint32_t flags)
{
	struct slab_options options = {.object_bytes = 100, .slab_bytes = 4096, .flags = flags};
	struct slab_cache *cache = cache__make(&options), *other = cache__make(&options);
	unsigned char *object = slab_cache__alloc(cache), *foreign = slab_cache__alloc(other);
	const uintptr_t nowhere[] = {1,
				     8,
				     4095,
				     4096,
				     0x7fffffffffff,
				     UINTPTR_MAX,
				     UINTPTR_MAX - 4095,
				     (uintptr_t)1 << 63};
	size_t stride = cache__stats(cache).stride_bytes;
	unsigned int refused = 0, none = 0;
	int local;

	tap__equal(slab_cache__free(cache, &local), -SLAB_NO_OBJECT,
		   "a pointer to the stack (mode %u)", flags);
	tap__equal(slab_cache__free(cache, foreign), -SLAB_NO_OBJECT, "an object of another cache");
	tap__equal(slab_cache__free(cache, cache), -SLAB_NO_OBJECT, "the cache itself");
	for (size_t i = 0; i < sizeof(nowhere) / sizeof(*nowhere); i++)
		refused += slab_cache__free(cache, (void *)nowhere[i]) == -SLAB_NO_OBJECT;
	tap__equal(refused, sizeof(nowhere) / sizeof(*nowhere), "addresses of nothing");
	refused = 0;
	for (uintptr_t i = (uintptr_t)object & ~(uintptr_t)4095, end = i + 4096; i < end; i++) {
		if ((i - (uintptr_t)object) % stride == 0 && i >= (uintptr_t)object &&
		    i + stride <= end)
			continue;
		refused += slab_cache__free(cache, (void *)i) == -SLAB_NO_OBJECT;
		none += slab_cache__state(cache, (void *)i) == SLAB_OBJECT_NONE;
	}
	tap__equal(refused, 4096 - 4096 / stride, "each address of the slab that starts no object");
	tap__equal(none, 4096 - 4096 / stride, "it has no state either");
	tap__equal(slab_cache__free(cache, object + stride), -SLAB_FREE_ALREADY,
		   "one never handed out");
	tap__equal(slab_cache__free(cache, object), 0, "the right one");
	tap__equal(slab_cache__free(cache, object), -SLAB_FREE_ALREADY, "twice");
	tap__ok(cache__stats(cache).allocated == 0 && cache__stats(cache).frees == 1 &&
			slab_cache__check(cache, NULL) == 0,
		"the cache is as it was");
	(void)slab_cache__shrink(cache);
	tap__equal(slab_cache__free(cache, object), -SLAB_NO_OBJECT, "its slab was given back");
	slab_cache__destroy(cache);
	slab_cache__destroy(other);
}

/* Makes one stray write to an allocated object. Returns what free says. */
static void test_stray(size_t bytes, long offset, int wanted)
{
	struct slab_options options = {
		.object_bytes = bytes, .slab_bytes = 4096, .flags = SLAB_DEBUG};
	struct slab_cache *cache = cache__make(&options);
	unsigned char *object, *next;
	void *found = NULL;

	(void)slab_cache__alloc(cache);
	object = slab_cache__alloc(cache);
	next = slab_cache__alloc(cache);
	cache__poke(object, offset, 0x23);
	tap__equal(slab_cache__check(cache, &found), wanted, "%zu bytes, a write at %ld: check",
		   bytes, offset);
	tap__ok(found == (wanted ? object : NULL), "it tells the object");
	tap__equal(slab_cache__free(cache, object), wanted, "free says the same");
	tap__equal(slab_cache__state(cache, object),
		   wanted ? SLAB_OBJECT_DAMAGED : SLAB_OBJECT_FREE, "its state");
	tap__equal(slab_cache__free(cache, object), -SLAB_FREE_ALREADY, "it cannot be freed again");
	tap__equal(slab_cache__free(cache, next), 0, "its neighbour can");
	tap__ok(cache__stats(cache).damaged == (wanted != 0) &&
			cache__stats(cache).allocated == 1 && slab_cache__check(cache, NULL) == 0,
		"it is counted");
	tap__ok((slab_cache__alloc(cache) == object) == 0 && cache__stats(cache).allocated == 2,
		"the next alloc has another one");
	slab_cache__destroy(cache);
}

static void test_write_after_free(void)
{
	struct slab_options options = {.object_bytes = 48, .slab_bytes = 4096, .flags = SLAB_DEBUG};
	struct slab_cache *cache = cache__make(&options);
	void *object = slab_cache__alloc(cache), *found = NULL;

	(void)slab_cache__free(cache, object);
	cache__poke(object, 47, 0x23);
	tap__ok(slab_cache__check(cache, &found) == -SLAB_WRITTEN_FREE && found == object,
		"a write after free is found by a check");
	tap__ok(slab_cache__alloc(cache) != object, "the object is not handed out again");
	tap__ok(cache__stats(cache).damaged == 1 && cache__stats(cache).allocated == 1,
		"it is counted as damaged");
	tap__equal(slab_cache__state(cache, object), SLAB_OBJECT_DAMAGED, "and has that state");
	tap__equal(slab_cache__check(cache, NULL), 0, "a check passes it over");
	tap__equal(slab_cache__shrink(cache), 0, "its slab is never empty again");
	slab_cache__destroy(cache);
}

static void test_no_memory(void)
{
	struct counted counted = {0};
	struct slab_options options = counted__options(&counted, 512);
	struct slab_cache *cache = cache__make(&options);
	unsigned int count = 0, failed = 0;
	void *last = NULL, *object;

	/* at each amount of memory up to a few slabs, an alloc fails or works, and nothing
	 * breaks */
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
	tap__ok(count > 0 && cache__stats(cache).failed == failed &&
			cache__stats(cache).allocated == count,
		"without memory alloc gives NULL, and says how often");
	tap__ok(slab_cache__free(cache, last) == 0 && slab_cache__alloc(cache) == last,
		"what was freed can be had again");
	slab_cache__destroy(cache);
	tap__equal(counted.bytes, 0, "all is given back");
}

static void test_refused_put(void)
{
	struct counted counted = {0};
	struct slab_options options = counted__options(&counted, 512);
	struct slab_cache *cache = cache__make(&options);
	void *objects[OBJECTS];
	size_t slabs;

	for (size_t i = 0; i < OBJECTS; i++)
		objects[i] = slab_cache__alloc(cache);
	slabs = cache__stats(cache).slabs;
	counted.refuse_puts = true;
	for (size_t i = 0; i < OBJECTS; i++)
		(void)slab_cache__free(cache, objects[i]);
	tap__ok(cache__stats(cache).empty == slabs && cache__stats(cache).given_back == 0 &&
			slab_cache__shrink(cache) == 0 && slab_cache__check(cache, NULL) == 0,
		"slabs that the callback does not take back stay in use");
	for (size_t i = 0; i < OBJECTS; i++)
		objects[i] = slab_cache__alloc(cache);
	tap__equal(cache__stats(cache).made, slabs, "and are used again");
	counted.refuse_puts = false;
	slab_cache__destroy(cache);
	tap__equal(counted.bytes, 0, "all is given back in the end");
}

static void test_errno(void)
{
	struct slab_options options = {.object_bytes = (size_t)60 << 20};
	struct slab_cache *cache = cache__make(&options);
	unsigned int count = 0;

	errno = 23;
	for (; count < 7; count++)
		(void)slab_cache__free(cache, slab_cache__alloc(cache));
	(void)slab_cache__free(cache, &count);
	slab_cache__destroy(cache);
	tap__equal(errno, 23, "errno is not touched");
	for (int err = SLAB_NO_OBJECT; err < SLAB_ERRORS_END; err++)
		if (slab_error__text(-err)[0] == '\0' || slab_error__name(-err)[0] != 'S')
			count++;
	tap__equal(count, 7, "each error has a name and a sentence");
}

/* ---- the address sanitizer ---- */

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>

static void test_sanitizer(void)
{
	struct slab_options options = {.object_bytes = 43, .slab_bytes = 4096, .flags = SLAB_DEBUG};
	struct slab_cache *cache = cache__make(&options);
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
	tap__plan(97);
	test_wrong_pointers(0);
	test_wrong_pointers(SLAB_DEBUG);
	test_stray(48, 0, 0);
	test_stray(48, 47, 0);
	test_stray(48, 48, -SLAB_WRITTEN_BEHIND);
	test_stray(48, 63, -SLAB_WRITTEN_BEHIND);
	test_stray(48, -1, -SLAB_WRITTEN_BEFORE);
	test_stray(48, -16, -SLAB_WRITTEN_BEFORE);
	test_stray(41, 41, -SLAB_WRITTEN_BEHIND);
	test_write_after_free();
	test_no_memory();
	test_refused_put();
	test_errno();
	test_sanitizer();
	return tap__done();
}
