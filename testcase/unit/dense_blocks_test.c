/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of dense_blocks: a child does to its memory what the test orders, to parts of blocks and to
 * whole ones, whose page tables then go. Pages that are found clean are compared with what they
 * were when they were armed. First each action alone, then a sequence of all of them.
 */
#include <linux/userfaultfd.h>
#include <stdint.h>
#include <sys/ioctl.h>

#include "store/dense_blocks.h"
#include "valgrind.h"
#include "watched_child.h"

enum { STEPS = 401, FEW = 5 };

static struct page_store store;
static struct page_tree tree; /* what the model holds, without zeros */
static struct dense_blocks blocks;
static struct second_thread *second; /* NULL: one thread does it alone */
static struct pagemap second_pagemap;

static void keep_page(size_t page)
{
	static const unsigned char zeros[PAGE_BYTES];
	uint32_t kept = 0;

	if (memcmp(model[page], zeros, PAGE_BYTES) != 0)
		must(page_store__take(&store, &kept));
	must(page_tree__set(&tree, address_of(page), kept));
}

/* All of it is armed and remembered. */
static void begin(void)
{
	const struct intervals all = {&(struct interval){address_of(0), address_of(PAGES)}, 1, 1};

	arm();
	for (size_t i = 0; i < PAGES; i++)
		keep_page(i);
	dense_blocks__clear(&blocks);
	must(dense_blocks__choose(&blocks, &tree, &all));
}

static void open_blocks(void)
{
	way = WRITE_TRACKING_PROTECT;
	open_target();
	pagemap__init(&second_pagemap, target.pagemap.fd);
	tree.store = &store;
	begin();
}

static void close_blocks(void)
{
	dense_blocks__clear(&blocks);
	page_tree__clear(&tree);
	close_target();
}

/* Asks. Returns how many pages are clean. */
static unsigned int find_clean(void)
{
	struct intervals clean = {0};
	unsigned int count = 0;

	must(dense_blocks__find_clean(&blocks, target.pid, &target.pagemap, second, &second_pagemap,
				      &clean));
	for (size_t i = 0; i < PAGES; i++) {
		dirty[i] = !intervals__find(&clean, address_of(i));
		count += !dirty[i];
	}
	intervals__clear(&clean);
	return count;
}

static void test_choice(void)
{
	unsigned int found;

	open_blocks();
	tap__equal(intervals__bytes(&blocks.ranges) / PAGE_BYTES, PAGES, "all blocks are dense");
	tap__equal(find_clean(), PAGES - SOME, "pages that held data are clean");
	(void)order(WRITE, 7, FEW);
	(void)order(WRITE, 7 + FEW + 7, FEW);
	found = find_clean();
	tap__ok(count_missed() == 0 && found == PAGES - SOME - FEW - 7 - FEW,
		"a few are written: they and the small gap between them are not clean");
	(void)order(MAP_OVER, HUGE_PAGES, HUGE_PAGES);
	(void)order(WRITE, HUGE_PAGES, HUGE_PAGES / 2);
	begin();
	tap__equal(intervals__bytes(&blocks.ranges) / PAGE_BYTES, PAGES - HUGE_PAGES,
		   "a block with few pages is not dense");
	close_blocks();
	tap__equal(store.pages, 0, "no page is left in the store");
}

/* Each on some pages and on a whole block; what comes then fills the block in part. */
static void test_actions(void)
{
	static const struct {
		size_t page, count;
	} places[] = {{HUGE_PAGES + 7, SOME}, {HUGE_PAGES, HUGE_PAGES}, {1, PAGES - HUGE_PAGES}};

	for (enum action action = 0; action < ACTIONS; action++) {
		unsigned int missed = 0;
		int failed = 0;

		open_blocks();
		for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
			if (action >= CHILD_ACTIONS && places[i].count > SOME)
				continue;
			failed = order(action, places[i].page, places[i].count);
			(void)find_clean();
			missed += count_missed();
			(void)order(READ, places[i].page, FEW);
			(void)find_clean();
			missed += count_missed();
			(void)order(WRITE, places[i].page + FEW, FEW);
			(void)find_clean();
			missed += count_missed();
			(void)order(WRITE, 0, PAGES);
			begin();
		}
		close_blocks();
		tap__equal(missed, 0, "%s, then read and written in part%s%s", names[action],
			   failed ? "; not here: " : "", failed ? strerror(failed) : "");
	}
}

/* Protects all pages by a userfaultfd that is not ours, as a program has it for itself. */
static void protect_by_other(int uffd)
{
	struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP};
	struct uffdio_register area_of = {.range = {address_of(0), PAGES * PAGE_BYTES},
					  .mode = UFFDIO_REGISTER_MODE_WP};
	struct uffdio_writeprotect protection = {.range = area_of.range,
						 .mode = UFFDIO_WRITEPROTECT_MODE_WP};

	must(uffd < 0 || ioctl(uffd, UFFDIO_API, &api) || ioctl(uffd, UFFDIO_REGISTER, &area_of) ||
	     ioctl(uffd, UFFDIO_WRITEPROTECT, &protection));
}

static void test_other(void)
{
	int uffd;

	open_blocks();
	(void)order(MAP_OVER, 0, PAGES);
	(void)order(WRITE, 0, PAGES);
	uffd = inject__userfaultfd(target.pid);
	protect_by_other(uffd);
	(void)find_clean();
	tap__equal(count_missed(), 0, "mapped over, and protected by another userfaultfd");
	(void)close(uffd);
	close_blocks();
}

static void test_sequence(uint64_t seed)
{
	unsigned int missed = 0, rounds = 0;
	uint64_t clean = 0;

	random__seed(seed);
	open_blocks();
	for (unsigned int step = 0; step < STEPS && !missed; step++) {
		const enum action action = random__below(3) ? WRITE : random__below(CHILD_ACTIONS);
		size_t count = 1 + random__below(SOME), page = random__below(PAGES - count);

		if (action != WRITE && random__below(3) == 0) {
			count = HUGE_PAGES;
			page = random__below(3) * count;
		}
		(void)order(action, page, count);
		if (random__below(5))
			continue;
		clean += find_clean();
		missed = count_missed();
		rounds++;
		if (missed)
			tap__note("step %u: %s", step, names[action]);
		if (random__below(7))
			continue;
		(void)order(WRITE, 0, PAGES);
		begin();
	}
	close_blocks();
	tap__ok(missed == 0 && clean > 0, "%s, %u steps, %u rounds, seed %llu",
		second ? "two threads" : "one thread", STEPS, rounds, (unsigned long long)seed);
	tap__note("%llu pages a round were clean",
		  (unsigned long long)(clean / (rounds + !rounds)));
}

int main(int argc, char **argv)
{
	const uint64_t seed = random__seed_of(argc, argv, 2311);
	enum { TESTS = 5 + ACTIONS + 3 };
	int err;

	tap__plan(TESTS);
	if (under_valgrind()) {
		tap__skip(TESTS, "valgrind runs the child, and has memory of its own in it");
		return tap__done();
	}
	if (!has_way(WRITE_TRACKING_PROTECT)) {
		tap__skip(TESTS, "the kernel has no userfaultfd that protects pages");
		return tap__done();
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	must(shared == MAP_FAILED);
	test_choice();
	test_actions();
	test_other();
	test_sequence(seed);
	err = second_thread__start(&second);
	must(err && err != -ENODEV);
	if (second)
		test_sequence(seed + 1);
	else
		tap__skip(1, "there is one processor");
	second_thread__stop(second);
	page_store__clear(&store);
	return tap__done();
}
