/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of page_store and page_tree: thousands of random changes of trees that share their pages,
 * each compared with a plain table; afterwards nothing is left in the store.
 */
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include "store/page_tree.h"
#include "base/page.h"
#include "tap.h"
#include "random.h"

enum { TREES = 7, PAGES = 1009, ROUNDS = 20011 };

static struct page_store store;
static struct page_tree trees[TREES];
static uint64_t model[TREES][PAGES]; /* what a page of a tree holds; 0: there is none */
static uint64_t stamp;

/* Far apart and side by side, up to the last page below 2^56. */
static uint64_t address_of(unsigned int i)
{
	if (i == PAGES - 1)
		return (1ULL << 56) - PAGE_BYTES;
	return (uint64_t)(i % 13) * (1ULL << 44) +
	       (uint64_t)(i / 13) * PAGE_BYTES * (i % 13 % 3 + 1);
}

static uint64_t read_stamp(uint32_t page)
{
	uint64_t value = 0;

	if (page)
		memcpy(&value, page_store__bytes(&store, page), sizeof(value));
	return value;
}

static int set(unsigned int tree, unsigned int i, bool present)
{
	uint32_t page = 0;
	int err = present ? page_store__take(&store, &page) : 0;

	if (err)
		return err;
	model[tree][i] = present ? ++stamp : 0;
	if (present)
		memcpy(page_store__bytes(&store, page), &stamp, sizeof(stamp));
	return page_tree__set(&trees[tree], address_of(i), page);
}

static void share(unsigned int from, unsigned int to)
{
	if (from == to)
		return;
	page_tree__clear(&trees[to]);
	page_tree__share(&trees[from], &trees[to]);
	memcpy(model[to], model[from], sizeof(model[to]));
}

static int count_wrong(unsigned int tree)
{
	uint64_t pages = 0;
	int wrong = 0;

	for (unsigned int i = 0; i < PAGES; i++) {
		wrong += read_stamp(page_tree__get(&trees[tree], address_of(i))) != model[tree][i];
		pages += model[tree][i] != 0;
	}
	return wrong + (pages != trees[tree].pages);
}

struct seen {
	uint64_t last, count;
	int wrong;
};

static int see(uint64_t address, void *argument)
{
	struct seen *seen = argument;

	seen->wrong += seen->count && address <= seen->last;
	seen->last = address;
	seen->count++;
	return 0;
}

static int count_wrong_differences(unsigned int a, unsigned int b)
{
	struct seen seen = {0};
	uint64_t expected = 0;

	if (page_tree__compare(&trees[a], &trees[b], see, &seen))
		return 1;
	for (unsigned int i = 0; i < PAGES; i++)
		expected += model[a][i] != model[b][i];
	return seen.wrong + (seen.count != expected);
}

/* Does a walk find every page once, in order? */
static int count_wrong_walk(unsigned int tree)
{
	uint64_t address = 0, at = 0, pages = 0;
	int wrong = 0;

	for (; page_tree__next(&trees[tree], at, 1ULL << 56, &address); at = address + PAGE_BYTES) {
		wrong += address < at;
		pages++;
	}
	return wrong + (pages != trees[tree].pages);
}

static int play(void)
{
	int wrong = 0;

	for (unsigned int round = 0; round < ROUNDS; round++) {
		const unsigned int tree = (unsigned int)random__below(TREES);
		const unsigned int other = (unsigned int)random__below(TREES);

		switch (random__below(100)) {
		case 0:
			share(other, tree);
			break;
		case 1:
			page_tree__clear(&trees[tree]);
			memset(model[tree], 0, sizeof(model[tree]));
			break;
		case 2:
			wrong += count_wrong(tree) + count_wrong_differences(tree, other) +
				 count_wrong_walk(tree);
			break;
		default:
			wrong += !!set(tree, (unsigned int)random__below(PAGES),
				       random__below(3) != 0);
		}
	}
	for (unsigned int tree = 0; tree < TREES; tree++)
		wrong += count_wrong(tree);
	return wrong;
}

static void test_range(void)
{
	uint64_t address = 0;

	share(1, 0);
	(void)page_tree__remove(&trees[0], 0, 1ULL << 44);
	tap__ok(!page_tree__next(&trees[0], 0, 1ULL << 44, &address) &&
			page_tree__next(&trees[0], 0, 1ULL << 56, &address) &&
			address >= 1ULL << 44,
		"a range is taken out, and no more");
	tap__equal(count_wrong(1), 0, "the tree that it shares with still has it");
}

static void test_own(void)
{
	struct page_tree full = {.store = &store}, copy;
	uint32_t page;
	uint64_t bytes;
	enum { MANY = 4096 };

	for (uint64_t i = 0; i < MANY; i++)
		if (page_store__take(&store, &page) ||
		    page_tree__set(&full, (i + 16) * PAGE_BYTES, page))
			return;
	bytes = page_tree__own_bytes(&full);
	tap__ok(bytes >= MANY * PAGE_BYTES && bytes * 100 <= MANY * PAGE_BYTES * 105,
		"16 MiB take at most 1.05 bytes a byte (%" PRIu64 ")", bytes);
	page_tree__share(&full, &copy);
	tap__equal(page_tree__own_bytes(&copy), 0, "a copy has nothing of its own");
	(void)page_store__take(&store, &page);
	(void)page_tree__set(&copy, 100 * PAGE_BYTES, page);
	bytes = page_tree__own_bytes(&copy);
	tap__ok(bytes > PAGE_BYTES && bytes < 2 * PAGE_BYTES,
		"with another page, this page and its path (%" PRIu64 ")", bytes);
	page_tree__clear(&full);
	tap__equal(copy.pages, MANY, "it outlives the tree that it was copied from");
	page_tree__clear(&copy);
}

static void test_reserve(void)
{
	unsigned char there = 0;
	uint32_t page = 0;
	int err;

	page_store__reserve(&store, 600);
	err = page_store__take(&store, &page);
	tap__ok(!err && !mincore(page_store__bytes(&store, page), PAGE_BYTES, &there) &&
			(there & 1),
		"a page that was reserved is in memory before it is written");
	page_store__trim(&store);
	memset(page_store__bytes(&store, page), 23, PAGE_BYTES);
	page_store__drop(&store, page);
}

int main(int argc, char **argv)
{
	const uint64_t seed = random__seed_of(argc, argv, 2311);

	random__seed(seed);
	tap__plan(10);
	for (unsigned int i = 0; i < TREES; i++)
		trees[i].store = &store;
	tap__equal(play(), 0, "random changes of %d trees that share pages (seed %" PRIu64 ")",
		   TREES, seed);
	test_range();
	for (unsigned int i = 0; i < TREES; i++)
		page_tree__clear(&trees[i]);
	tap__equal(store.pages, 0, "no page is left in the store");
	test_own();
	test_reserve();
	tap__equal(store.pages, 0, "likewise");
	page_store__clear(&store);
	return tap__done();
}
