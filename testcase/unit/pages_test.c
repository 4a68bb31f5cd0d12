/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of pages. PAGEMAP_SCAN and the entries of pagemap must agree on the pages of this process
 * that hold data. A process may be gone. Write tracking must see every write to one of many pages,
 * and nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/page.h"
#include "pages/pagemap.h"
#include "pages/write_protect.h"
#include "pages/write_tracking.h"
#include "child.h"
#include "random.h"
#include "tap.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* 6.13; not in every C library's headers */
#endif

enum { PAGES = 2301 }; /* more runs than one scan returns, if each second page holds data */

static struct pagemap pagemap;
static unsigned char *area;

static uint64_t address_of(size_t page)
{
	return (uintptr_t)area + page * PAGE_BYTES;
}

/* Gives all pages back. */
static void empty_area(void)
{
	must(madvise(area, PAGES * PAGE_BYTES, MADV_DONTNEED));
}

/* Notes for each page of the area what a walk says about it. Returns its result. */
static int walk(uint64_t categories, uint64_t found[PAGES])
{
	uint64_t before = address_of(0);
	struct pagemap_run run;
	int more;

	memset(found, 0, PAGES * sizeof(*found));
	pagemap__begin(&pagemap, address_of(0), address_of(PAGES), categories);
	while ((more = pagemap__next(&pagemap, &run)) > 0) {
		if (run.start < before || run.end <= run.start || run.end > address_of(PAGES))
			return -ERANGE;
		before = run.end;
		for (uint64_t at = run.start; at < run.end; at += PAGE_BYTES)
			found[(at - address_of(0)) / PAGE_BYTES] = run.categories;
	}
	return more;
}

/* Counts the pages that are not as expected: each n-th from first on holds data. */
static unsigned int count_wrong(const uint64_t found[PAGES], size_t first, size_t n)
{
	unsigned int wrong = 0;

	for (size_t i = 0; i < PAGES; i++)
		wrong += (i >= first && (i - first) % n == 0) != !!found[i];
	return wrong;
}

static void test_data(const char *way)
{
	static uint64_t found[PAGES];
	struct pagemap_run run;

	empty_area();
	tap__ok(walk(0, found) == 0 && count_wrong(found, PAGES, 1) == 0,
		"%s: untouched pages hold no data", way);
	for (size_t i = 1; i < PAGES; i += 2)
		area[i * PAGE_BYTES] = 1;
	tap__ok(walk(0, found) == 0 && count_wrong(found, 1, 2) == 0,
		"%s: each second page holds data, in more runs than one call returns", way);
	for (size_t i = 0; i < PAGES; i++)
		area[i * PAGE_BYTES] = 1;
	tap__ok(walk(0, found) == 0 && count_wrong(found, 0, 1) == 0, "%s: all pages hold data",
		way);
	must(madvise(area + 7 * PAGE_BYTES, PAGE_BYTES, MADV_DONTNEED));
	tap__ok(walk(0, found) == 0 && !found[7] && found[6] && found[8],
		"%s: a page that was given back holds none", way);
	pagemap__begin(&pagemap, address_of(3), address_of(3), 0);
	tap__equal(pagemap__next(&pagemap, &run), 0, "%s: no pages", way);
	pagemap__begin(&pagemap, 0xffffffffff600000, 0xffffffffff601000, 0);
	tap__equal(pagemap__next(&pagemap, &run), -EFAULT, "%s: an address of the kernel", way);
}

static void test_guard(const char *way)
{
	static uint64_t found[PAGES];

	empty_area();
	area[PAGE_BYTES] = 1;
	if (madvise(area, PAGE_BYTES, MADV_GUARD_INSTALL) != 0) {
		tap__skip(1, "no guard pages: %s", strerror(errno));
		return;
	}
	tap__ok(walk(0, found) == 0 && (!found[0] || !pagemap.knows_guards) && found[1],
		"%s: a guard holds no data, if the kernel knows guards", way);
	must(munmap(area, PAGE_BYTES) ||
	     mmap(area, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		  -1, 0) != area);
}

static void test_zeros(void)
{
	static uint64_t found[PAGES];
	volatile unsigned char *page = area;

	if (!pagemap.can_scan) {
		tap__skip(1, "the kernel has no PAGEMAP_SCAN");
		return;
	}
	empty_area();
	(void)page[23 * PAGE_BYTES];
	page[24 * PAGE_BYTES] = 1;
	if (walk(PAGEMAP_OWN, found) == 0 && found[23] & PAGEMAP_OWN) {
		tap__skip(1, "the kernel gives a page that was only read memory of its own");
		return;
	}
	tap__ok(walk(PAGEMAP_ZERO, found) == 0 && (found[23] & PAGEMAP_ZERO) &&
			!(found[24] & PAGEMAP_ZERO) && (found[24] & PAGEMAP_PRESENT),
		"scan: a page that was only read is the page of zeros");
}

static void sleep_forever(void)
{
	for (;;)
		(void)pause();
}

static void test_gone(void)
{
	pid_t child = child__start(sleep_forever);
	static struct pagemap theirs;
	struct pagemap_run run;
	int fd = procfs__open(child, "pagemap", O_RDONLY), more;

	must(child < 0 || fd < 0);
	pagemap__init(&theirs, fd);
	theirs.can_scan = false;
	tap__equal(pagemap__check(&theirs), 0, "a child is there");
	pagemap__begin(&theirs, address_of(0), address_of(PAGES), 0);
	while ((more = pagemap__next(&theirs, &run)) > 0)
		;
	tap__equal(more, 0, "its pages");
	must(kill(child, SIGKILL) || waitpid(child, NULL, 0) != child);
	tap__equal(pagemap__check(&theirs), -ESRCH, "it is gone");
	pagemap__begin(&theirs, address_of(0), address_of(PAGES), 0);
	tap__equal(pagemap__next(&theirs, &run), -ESRCH, "so are its pages");
	(void)close(fd);
	pagemap__init(&theirs, -1);
	pagemap__begin(&theirs, address_of(0), address_of(PAGES), 0);
	tap__equal(pagemap__next(&theirs, &run), -EBADF, "no file");
}

/* Arms all pages, writes some, and asks. Returns how many answers are wrong. */
static unsigned int track_round(const struct write_tracking *tracking, unsigned int percent)
{
	static uint64_t found[PAGES];
	static bool written[PAGES];
	unsigned int wrong = 0;

	must(write_tracking__begin_round(tracking) ||
	     write_tracking__arm(tracking, &pagemap, address_of(0), address_of(PAGES)));
	for (size_t i = 0; i < PAGES; i++) {
		written[i] = random__below(100) < percent;
		if (written[i])
			area[i * PAGE_BYTES + 23]++;
	}
	must(walk(write_tracking__categories(tracking), found));
	for (size_t i = 0; i < PAGES; i++) {
		struct pagemap_run run = {address_of(i), address_of(i + 1), found[i]};

		wrong += !found[i] || write_tracking__is_written(tracking, &run) != written[i];
	}
	return wrong;
}

/* The protection of one page among many is found: whoever arms them must take it away. */
static void look_for_clean(const struct write_tracking *tracking)
{
	must(write_tracking__arm(tracking, &pagemap, address_of(0), address_of(PAGES)));
	for (size_t i = 0; i < PAGES; i++)
		if (i != 23)
			area[i * PAGE_BYTES]++;
	tap__ok(pagemap__has_clean(&pagemap, address_of(0), address_of(PAGES)),
		"an armed page looks clean");
	area[23 * PAGE_BYTES]++;
	tap__ok(!pagemap__has_clean(&pagemap, address_of(0), address_of(PAGES)),
		"no page that was written does");
	empty_area();
	tap__ok(!pagemap__has_clean(&pagemap, address_of(0), address_of(PAGES)),
		"nor does one without data");
}

static void test_tracking(void)
{
	struct write_tracking tracking;
	unsigned int wrong = 0;
	int other;

	write_tracking__open(&tracking, &pagemap);
	if (tracking.way == WRITE_TRACKING_NONE) {
		tap__skip(7, "the kernel has no write tracking");
		return;
	}
	empty_area();
	for (size_t i = 0; i < PAGES; i++)
		area[i * PAGE_BYTES] = 1;
	for (unsigned int percent = 0; percent <= 100; percent += 20)
		wrong += track_round(&tracking, percent);
	tap__equal(wrong, 0, "write tracking sees each write, and nothing else");
	if (tracking.way != WRITE_TRACKING_PROTECT) {
		tap__skip(6, "it is by soft-dirty bits");
		return;
	}
	look_for_clean(&tracking);
	tap__ok(write_tracking__has_uffd(&tracking), "the userfaultfd is open");
	must(close(tracking.uffd));
	other = fcntl(STDOUT_FILENO, F_DUPFD, tracking.uffd);
	must(other != tracking.uffd);
	tap__equal(write_tracking__begin_round(&tracking), -EBADF,
		   "its number may be another file's");
	write_tracking__close(&tracking);
	tap__ok(fcntl(other, F_GETFD) >= 0 && tracking.way == WRITE_TRACKING_NONE,
		"which is not closed");
	(void)close(other);
}

int main(void)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	random__seed(2301);
	tap__plan(27);
	must(fd < 0);
	area = mmap(NULL, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	must(area == MAP_FAILED || madvise(area, PAGES * PAGE_BYTES, MADV_NOHUGEPAGE));
	pagemap__init(&pagemap, fd);
	if (pagemap.can_scan) {
		test_data("scan");
		test_guard("scan");
	} else {
		tap__skip(7, "the kernel has no PAGEMAP_SCAN");
	}
	test_zeros();
	test_tracking();
	pagemap.can_scan = false;
	test_data("entries");
	test_guard("entries");
	test_gone();
	return tap__done();
}
