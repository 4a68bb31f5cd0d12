/* SPDX-License-Identifier: BSD-2-Clause
 *
 * shuffle SEED: all that a program can do to anonymous memory, at random, while it takes increments
 * of itself. What each page must hold is known. The kernel refuses some of the calls; their number
 * is said on stderr, for it must be the same without libckpt.
 * resize: mremap(2) of memory that is partly older than an increment.
 */
#include "work.h"

#include <signal.h>
#include <sys/mman.h>

enum { PAGES = 64, MOST = 8, STEPS = 400, BETWEEN_IMAGES = 23 };

static const int both = PROT_READ | PROT_WRITE, anew = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;

struct page {
	int value; /* of all its bytes; -1: not mapped */
	int protection;
};

static struct page pages[PAGES];
static unsigned char *area;
static uint64_t state;

static int below(int limit)
{
	state += 0x9e3779b97f4a7c15;
	return (int)(mix(state) % (uint64_t)limit);
}

static unsigned char *at(int page)
{
	return area + (size_t)page * PAGE;
}

static void set(int first, int count, int value, int protection)
{
	for (int i = first; i < first + count; i++)
		pages[i] = (struct page){value, protection};
}

static void map_anew(int first, int count)
{
	must(mmap(at(first), (size_t)count * PAGE, both, anew, -1, 0) == at(first));
	set(first, count, 0, both);
}

static void write_to(int first, int count, int value)
{
	for (int i = first; i < first + count; i++) {
		if (pages[i].value < 0 || !(pages[i].protection & PROT_WRITE))
			continue;
		memset(at(i), value, PAGE);
		pages[i].value = value;
	}
}

static int protect(int first, int count, int protection)
{
	const int failed = mprotect(at(first), (size_t)count * PAGE, protection) < 0;

	/* As far as the first page that is not mapped. */
	for (int i = first; i < first + count && pages[i].value >= 0; i++)
		pages[i].protection = protection;
	return failed;
}

static int discard(int first, int count)
{
	const int failed = madvise(at(first), (size_t)count * PAGE, MADV_DONTNEED) < 0;

	for (int i = first; i < first + count; i++) {
		if (pages[i].value > 0)
			pages[i].value = 0;
	}
	return failed;
}

static void unmap(int first, int count)
{
	must(munmap(at(first), (size_t)count * PAGE) == 0);
	set(first, count, -1, 0);
}

/* What has been moved when the call fails depends on the kernel, so both places are made anew. */
static int move(int from, int to, int count, int flags)
{
	const size_t bytes = (size_t)count * PAGE;

	for (int i = from; i < from + count; i++) {
		if (pages[i].value < 0 || (from < to + count && to < from + count))
			return 0;
	}
	if (mremap(at(from), bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED | flags, at(to)) ==
	    MAP_FAILED) {
		map_anew(from, count);
		map_anew(to, count);
		return 1;
	}
	memcpy(pages + to, pages + from, (size_t)count * sizeof(pages[0]));
	for (int i = from; i < from + count; i++)
		pages[i].value = flags ? 0 : -1;
	return 0;
}

static int step(void)
{
	const int first = below(PAGES), most = PAGES - first < MOST ? PAGES - first : MOST;
	const int count = 1 + below(most), other = below(PAGES - count + 1);

	switch (below(8)) {
	case 0:
		map_anew(first, count);
		return 0;
	case 1:
		return protect(first, count, below(3) ? PROT_READ | PROT_WRITE : PROT_READ);
	case 2:
		return discard(first, count);
	case 3:
		unmap(first, count);
		return 0;
	case 4:
		return move(first, other, count, 0);
	case 5:
		return move(first, other, count, MREMAP_DONTUNMAP);
	default:
		write_to(first, count, 1 + below(255));
		return 0;
	}
}

static void check_pages(void)
{
	for (int i = 0; i < PAGES; i++) {
		const unsigned char *page = at(i);

		for (size_t k = 0; pages[i].value >= 0 && k < PAGE; k++)
			if (page[k] != pages[i].value)
				end(WRONG, "page %d: %d, not %d\n", i, page[k], pages[i].value);
	}
}

static void shuffle(void)
{
	int failures = 0;

	state = work_number;
	/* Nothing that the kernel could merge with the area lies beside it. */
	area = mmap(NULL, (PAGES + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(area != MAP_FAILED);
	area += PAGE;
	map_anew(0, PAGES);
	for (int i = 1; i <= STEPS; i++) {
		failures += step();
		check_pages();
		if (i % BETWEEN_IMAGES == 0 && getenv("CKPT_FILE"))
			must(raise(SIGUSR2) == 0);
	}
	(void)fprintf(stderr, "%d calls failed\n", failures);
	say("ready");
	wait_for_finish();
	check_pages();
}

/* ---- memory that is one mapping without libckpt ---- */

enum { OLD = 11, MIDDLE = 3, NEW = 23 };

/* Pages of 1, with some in the middle that are new since the image. Nothing is mapped behind. */
static unsigned char *make_mixed(void)
{
	unsigned char *memory =
		mmap(NULL, (3 * NEW + 1) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(memory != MAP_FAILED);
	memory += PAGE;
	must(mmap(memory, OLD * PAGE, both, anew, -1, 0) == memory);
	memset(memory, 1, OLD * PAGE);
	if (getenv("CKPT_FILE"))
		must(raise(SIGUSR2) == 0);
	must(munmap(memory + OLD * PAGE, (3 * NEW - OLD) * PAGE) == 0);
	must(mmap(memory + MIDDLE * PAGE, PAGE, both, anew, -1, 0) != MAP_FAILED);
	must(mmap(memory + (MIDDLE + 2) * PAGE, PAGE, both, anew, -1, 0) != MAP_FAILED);
	memset(memory + MIDDLE * PAGE, 2, PAGE);
	return memory;
}

static void check_mixed(const unsigned char *memory, int count)
{
	must(memory != MAP_FAILED);
	for (int i = 0; i < count; i++) {
		const unsigned char value = i == MIDDLE ? 2 : i == MIDDLE + 2 || i >= OLD ? 0 : 1;

		for (size_t k = 0; k < PAGE; k++)
			check(memory[(size_t)i * PAGE + k] == value);
	}
}

static void resize(void)
{
	unsigned char *memory = make_mixed(), *place;

	check(mremap(memory, OLD * PAGE, NEW * PAGE, 0) == memory);
	check_mixed(memory, NEW);
	memory = make_mixed();
	must(mmap(memory + OLD * PAGE, PAGE, both, anew, -1, 0) != MAP_FAILED);
	memory[OLD * PAGE] = 3;
	check(mremap(memory, OLD * PAGE, NEW * PAGE, 0) == MAP_FAILED && errno == ENOMEM);
	place = mremap(memory, OLD * PAGE - 23, NEW * PAGE - 23, MREMAP_MAYMOVE);
	check(place != memory && memory[OLD * PAGE] == 3 && msync(memory, PAGE, MS_ASYNC) < 0);
	check_mixed(place, NEW);
	memset(place, 4, NEW * PAGE);
	for (int count = MIDDLE + 1; count <= NEW; count += NEW - MIDDLE - 1) {
		memory = make_mixed();
		place = memory + NEW * PAGE;
		must(mmap(place, 2 * PAGE, both, anew, -1, 0) == place);
		check(mremap(memory, OLD * PAGE, (size_t)count * PAGE,
			     MREMAP_MAYMOVE | MREMAP_FIXED, place) == place);
		check_mixed(place, count);
		check(msync(memory + (OLD - 1) * PAGE, PAGE, MS_ASYNC) < 0);
	}
	say("ready");
	wait_for_finish();
	check_mixed(place, NEW);
}

const struct work_scene work_shuffle[] = {
	{"resize", resize},
	{"shuffle", shuffle},
	{NULL, NULL},
};
