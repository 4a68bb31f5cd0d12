/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of the chunk stores: what was put is read back whole, from several stores, by the program
 * of the kernel side and by system calls. Some kernels forbid the program.
 */
#include <unistd.h>

#include "base/log.h"
#include "engine/chunk_stores.h"
#include "kernel/hooks.h"
#include "random.h"
#include "tap.h"
#include "valgrind.h"

enum { CHUNKS = 4703, FIRST = 61, LIMIT = 3 * CHUNKS, TESTS_EACH = 6 };

/* Of the chunk at index: where it is, what is in it. */
static uint64_t address_of(uint64_t index)
{
	return (1ULL << 32) + index * CHUNK_BYTES;
}

static void fill(uint64_t index, uint64_t seed, struct chunk *ret_chunk)
{
	*ret_chunk = (struct chunk){.state = index % 5 ? CHUNK_PRESENT : CHUNK_ABSENT};
	random__seed(seed + index);
	for (size_t at = 0; at < CHUNK_BYTES; at += sizeof(uint64_t)) {
		uint64_t word = random__next();

		memcpy(ret_chunk->bytes + at, &word, sizeof(word));
	}
}

struct seen {
	uint64_t seed, wrong;
	uint8_t times[CHUNKS];
};

static void look(uint64_t address, uint8_t state, const uint8_t *bytes, void *argument)
{
	struct seen *seen = argument;
	uint64_t index = (address - address_of(0)) / CHUNK_BYTES;
	struct chunk wanted;

	if (index >= CHUNKS || address % CHUNK_BYTES) {
		seen->wrong++;
		return;
	}
	seen->times[index]++;
	fill(index, seen->seed, &wanted);
	seen->wrong += state != wanted.state || (state == CHUNK_PRESENT) != (bytes != NULL) ||
		       (bytes && memcmp(bytes, wanted.bytes, CHUNK_BYTES) != 0);
}

/* Is each chunk from first on there once, right, and no other? */
static bool reads_back(struct chunk_stores *stores, uint64_t seed, uint64_t first)
{
	static struct seen seen;

	memset(&seen, 0, sizeof(seen));
	seen.seed = seed;
	if (chunk_stores__for_each(stores, look, &seen) || seen.wrong)
		return false;
	for (uint64_t i = 0; i < CHUNKS; i++)
		if (seen.times[i] != (i >= first))
			return false;
	return true;
}

static void test_stores(const char *way, struct chunk_stores *stores, uint64_t seed)
{
	struct chunk chunk;

	tap__ok(reads_back(stores, seed, CHUNKS), "%s: none", way);
	for (uint64_t i = 0; i < CHUNKS; i++) {
		fill(i, seed, &chunk);
		must(chunk_stores__add(stores, address_of(i), &chunk));
	}
	tap__ok(chunk_stores__places(stores) > FIRST, "%s: several stores", way);
	tap__ok(reads_back(stores, seed, 0), "%s: all, seed %" PRIu64, way, seed);
	seed++;
	for (uint64_t i = 0; i < CHUNKS; i++) {
		fill(i, seed, &chunk);
		must(chunk_stores__put(stores, address_of(i), &chunk));
	}
	tap__ok(reads_back(stores, seed, 0), "%s: all replaced", way);
	for (uint64_t i = 0; i < CHUNKS / 3; i++)
		must(chunk_stores__remove(stores, address_of(i)));
	tap__ok(reads_back(stores, seed, CHUNKS / 3), "%s: a third is removed", way);
	must(chunk_stores__clear(stores));
	tap__ok(reads_back(stores, seed, CHUNKS), "%s: all are removed", way);
}

static void test_way(const char *way, const struct kernel_facts *facts, uint64_t seed)
{
	const struct hook_settings settings = {.request_paths = {"/nowhere/a", "/nowhere/b"},
					       .completion_paths = {"/nowhere/c", "/nowhere/d"},
					       .slab_threshold = UINT64_MAX,
					       .ready_chunks = FIRST};
	struct chunk_stores *stores;
	struct hooks *hooks;

	must(hooks__attach(&settings, facts, &hooks));
	must(chunk_stores__open(hooks__chunk_stores_fd(hooks), hooks__chunks_fd(hooks),
				hooks__stream_fd(hooks), FIRST, LIMIT, hooks__state(hooks),
				&stores));
	test_stores(way, stores, seed);
	chunk_stores__free(stores);
	hooks__free(hooks);
}

int main(int argc, char **argv)
{
	uint64_t seed = random__seed_of(argc, argv, 2301);
	struct kernel_facts facts;

	tap__plan(2 * TESTS_EACH);
	if (geteuid() != 0 || under_valgrind() || kernel_check__run(&facts)) {
		tap__skip(2 * TESTS_EACH, "loading BPF programs needs root, and no valgrind");
		return tap__done();
	}
	if (facts.iterates_maps)
		test_way("stream", &facts, seed);
	else
		tap__skip(TESTS_EACH, "this kernel forbids BPF iterators over maps");
	facts.iterates_maps = false;
	test_way("batches", &facts, seed);
	return tap__done();
}
