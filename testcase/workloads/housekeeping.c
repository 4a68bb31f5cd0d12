/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the kernel does with pages by itself: it swaps them out, gathers them into huge pages
 * (khugepaged) and merges those that are alike (KSM), before and after they are armed. A case waits
 * until the kernel has done so, and is skipped where that is off or would take minutes.
 */
#include "base/parse.h"
#include "pages/pagemap.h"
#include "writers.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define HUGE       (2UL << 20)
#define KHUGEPAGED "/sys/kernel/mm/transparent_hugepage/khugepaged/"
#define KSM        "/sys/kernel/mm/ksm/"

enum { QUICK_MS = 100, LOOK_AGAIN_US = 20000 };

/* A whole file, on the stack: what the heap holds is rolled back. */
struct text {
	char bytes[4096];
};

static struct text read_text(const char *path)
{
	struct text text = {""};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, text.bytes, sizeof(text.bytes) - 1);

	if (fd >= 0)
		close(fd);
	if (length > 0)
		text.bytes[length] = '\0';
	return text;
}

/* The number in a file of /sys, or what to take where there is none. */
static uint64_t read_number(const char *path, uint64_t otherwise)
{
	struct text text = read_text(path);
	uint64_t number;

	text.bytes[strcspn(text.bytes, "\n")] = '\0';
	return parse__u64(text.bytes, 0, UINT64_MAX, &number) ? otherwise : number;
}

/* Waits until the kernel has looked at all pages twice more. */
static void wait_for_scans(const char *full_scans)
{
	uint64_t until = read_number(full_scans, 0) + 3;

	while (read_number(full_scans, 0) < until)
		usleep(LOOK_AGAIN_US);
}

/* ---- swap ---- */

static unsigned int pages_swapped = 1; /* in all rounds; not 0, so that no restore changes it */

static unsigned int count_swapped(const unsigned char *at, size_t bytes)
{
	static struct pagemap pagemap; /* too large for a stack */
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t start = (uintptr_t)at;
	unsigned int count = 0;
	struct pagemap_run run;

	must(fd >= 0, "pagemap");
	pagemap__init(&pagemap, fd);
	pagemap__begin(&pagemap, start, start + bytes, 0);
	while (pagemap__next(&pagemap, &run) > 0)
		if (run.categories & PAGEMAP_SWAPPED)
			count += (unsigned int)((run.end - run.start) / PAGE);
	close(fd);
	return count;
}

static void swap_out(unsigned char *at, size_t bytes)
{
	must(!madvise(at, bytes, MADV_PAGEOUT), "MADV_PAGEOUT");
	pages_swapped += count_swapped(at, bytes);
}

/* The first checkpoint is of pages in swap. */
static void swap_all_out(void)
{
	if (!memchr(read_text("/proc/swaps").bytes, '/', sizeof(struct text)))
		finish(WORKLOAD_SKIP, "there is no swap");
	pages_swapped = 1;
	swap_out(memory, BYTES);
}

static void expect_swapped(void)
{
	if (pages_swapped == 1)
		finish(WORKLOAD_BROKEN, "the kernel has swapped nothing out");
}

/* The page goes to swap as it was written, and those after it as they were saved. */
static void store_and_swap(unsigned char *page, uint64_t with)
{
	store(page, with);
	swap_out(page, STACK_PAGES * PAGE);
}

/* The page is written in swap, and the one after it is only read there. */
static void swap_and_store(unsigned char *page, uint64_t with)
{
	swap_out(page, STACK_PAGES * PAGE);
	(void)*(volatile unsigned char *)(page + PAGE);
	store(page, with);
}

/* To swap and back, with nothing written but the page itself. */
static void store_swap_read(unsigned char *page, uint64_t with)
{
	uint64_t sum = 0;

	store(page, with);
	swap_out(page, STACK_PAGES * PAGE);
	for (int i = 0; i < STACK_PAGES; i++)
		sum += *(volatile unsigned char *)(page + i * PAGE);
	(void)sum;
}

static void play_swap(page_writer *write_page)
{
	play(write_page, swap_all_out);
	expect_swapped();
}

static void swapped_dirty(void)
{
	play_swap(store_and_swap);
}

static void swapped_before(void)
{
	play_swap(swap_and_store);
}

static void swapped_and_back(void)
{
	play_swap(store_swap_read);
}

static void swapped_shared(void)
{
	unsigned char *shared = map_alone(BYTES, MAP_SHARED);

	fill(shared, BYTES, seed(1));
	memory = shared;
	swap_all_out();
	save();
	for (uint64_t round = 0; round < ROUNDS; round++) {
		write_few(store_and_swap, round);
		restore();
		expect_outside(shared, BYTES, seed(1), "shared memory in swap");
	}
	must(!munmap(shared, BYTES), "munmap");
}

/* ---- huge pages ---- */

struct huge { /* one huge page, in a mapping of its own */
	unsigned char *all, *pages;
};

static struct huge map_base_pages(void)
{
	struct huge huge = {.all = map_at(NULL, 3 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE)};

	huge.pages = huge.all + (HUGE - (uintptr_t)huge.all % HUGE);
	(void)madvise(huge.pages, HUGE, MADV_NOHUGEPAGE); /* fails where there are none */
	fill(huge.pages, HUGE, seed(1));
	(void)madvise(huge.pages, HUGE, MADV_HUGEPAGE);
	return huge;
}

static void store_few(const struct huge *huge, uint64_t round)
{
	for (uint64_t i = 0; i < FEW; i++)
		store(huge->pages + word_at(seed(7), round * FEW + i) % 512 * PAGE, round);
}

/* settle: lets the kernel gather the pages, after some of them were written. */
static void play_huge(const struct huge *huge, void (*settle)(const struct huge *huge))
{
	save();
	for (uint64_t round = 0; round < ROUNDS; round++) {
		store_few(huge, 2 * round);
		must(!madvise(huge->pages + 23 * round * PAGE, PAGE, MADV_DONTNEED),
		     "MADV_DONTNEED"); /* splits it, and the hole is filled if it is gathered */
		settle(huge);
		if (round % 2)
			store_few(huge, 2 * round + 1);
		restore();
		expect_outside(huge->pages, HUGE, seed(1), "a huge page");
	}
	must(!munmap(huge->all, 3 * HUGE), "munmap");
}

static void collapse(const struct huge *huge)
{
	(void)madvise(huge->pages, HUGE, MADV_COLLAPSE); /* refused while it is armed */
}

/* What khugepaged does, at once. */
static void gathered(void)
{
	struct huge huge = map_base_pages();

	if (madvise(huge.pages, HUGE, MADV_COLLAPSE))
		finish(WORKLOAD_SKIP, "no MADV_COLLAPSE (since 6.1): %s", strerror(errno));
	play_huge(&huge, collapse);
}

static void let_gather(const struct huge *huge)
{
	(void)huge;
	wait_for_scans(KHUGEPAGED "full_scans");
}

static bool has_huge_page(void)
{
	struct text text = read_text("/proc/self/smaps_rollup");
	const char *line = strstr(text.bytes, "AnonHugePages:");

	return line && strtol(line + strlen("AnonHugePages:"), NULL, 10) >= (long)(HUGE / 1024);
}

static void gathered_later(void)
{
	struct huge huge = {NULL, NULL};

	if (read_number(KHUGEPAGED "scan_sleep_millisecs", UINT64_MAX) > QUICK_MS)
		finish(WORKLOAD_SKIP, "khugepaged is not there, or sleeps for long");
	huge = map_base_pages();
	while (!has_huge_page())
		usleep(LOOK_AGAIN_US);
	play_huge(&huge, let_gather);
}

static void swapped_huge(void)
{
	struct huge huge = map_base_pages();

	(void)madvise(huge.pages, HUGE, MADV_COLLAPSE);
	memory = huge.pages;
	swap_all_out();
	save();
	for (uint64_t round = 0; round < ROUNDS; round++) {
		store_few(&huge, round);
		if (round % 3)
			swap_out(huge.pages, HUGE);
		(void)madvise(huge.pages, HUGE, MADV_COLLAPSE);
		restore();
		expect_outside(huge.pages, HUGE, seed(1), "a huge page that was in swap");
	}
	expect_swapped();
	must(!munmap(huge.all, 3 * HUGE), "munmap");
}

/* ---- merged pages ---- */

/* All pages are alike, so that KSM merges them before and after they are armed. */
static void merged(void)
{
	unsigned char *pages = map_alone(BYTES, MAP_PRIVATE);

	if (read_number(KSM "run", 0) != 1)
		finish(WORKLOAD_SKIP, "KSM is off (" KSM "run)");
	must(!madvise(pages, BYTES, MADV_MERGEABLE), "MADV_MERGEABLE");
	for (size_t i = 0; i < PAGES; i++)
		fill(pages + i * PAGE, PAGE, seed(1));
	while (read_number(KSM "pages_sharing", 0) < PAGES / 2)
		usleep(LOOK_AGAIN_US);
	save();
	for (uint64_t round = 0; round < ROUNDS; round++) {
		for (uint64_t i = 0; i < FEW; i++)
			store(pages + word_at(seed(7), round * FEW + i) % PAGES * PAGE, round);
		if (round % 2) /* gives each page a copy of its own again */
			must(!madvise(pages, BYTES / 2, MADV_UNMERGEABLE) &&
				     !madvise(pages, BYTES / 2, MADV_MERGEABLE),
			     "MADV_UNMERGEABLE");
		wait_for_scans(KSM "full_scans");
		restore();
		for (size_t i = 0; i < PAGES; i++)
			expect_outside(pages + i * PAGE, PAGE, seed(1), "a merged page");
	}
	must(!munmap(pages, BYTES), "munmap");
}

int main(int argc, char **argv)
{
	static const struct workload workloads[] = {
		{"swapped-dirty", swapped_dirty},
		{"swapped-before", swapped_before},
		{"swapped-and-back", swapped_and_back},
		{"swapped-shared", swapped_shared},
		{"swapped-huge", swapped_huge},
		{"gathered", gathered},
		{"gathered-later", gathered_later},
		{"merged", merged},
		{NULL, NULL},
	};

	return play_workloads(workloads, argc, argv);
}
