/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Memory with advice to the kernel: discarded, free to take, swapped out, guarded, locked, in huge
 * pages. The data of the checkpoint come back all the same.
 */
#include <fcntl.h>
#include <stdbool.h>
#include "base/procfs.h"
#include "pages/pagemap.h"
#include "workload.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE  103
#endif

enum { PAGES = 23 };

#define BYTES (PAGES * PAGE)
#define HUGE  (2UL << 20)

static unsigned char *map_filled(int flags)
{
	unsigned char *memory = map_alone(BYTES, flags);

	fill(memory, BYTES, seed(1));
	return memory;
}

static void discarded(void)
{
	unsigned char *memory = map_filled(MAP_PRIVATE);

	save();
	must(!madvise(memory + 3 * PAGE, 7 * PAGE, MADV_DONTNEED), "MADV_DONTNEED");
	fill(memory + 5 * PAGE, PAGE, seed(2));
	fill(memory + 15 * PAGE, 3 * PAGE, seed(3));
	restore();
	expect_outside(memory, BYTES, seed(1), "memory");
	expect(memory, BYTES, seed(1), "memory");
	must(!madvise(memory, BYTES, MADV_DONTNEED), "MADV_DONTNEED");
	restore();
	expect(memory, BYTES, seed(1), "memory, all of it discarded");
}

/* Pages that were discarded before the checkpoint read as zeros, and do so again. */
static void discarded_before(void)
{
	unsigned char *memory = map_filled(MAP_PRIVATE);

	must(!madvise(memory + 3 * PAGE, 7 * PAGE, MADV_DONTNEED), "MADV_DONTNEED");
	save();
	fill(memory, BYTES, seed(2));
	restore();
	expect(memory, 3 * PAGE, seed(1), "before the hole");
	expect_outside(memory + 3 * PAGE, 7 * PAGE, 0, "the hole");
	expect(memory + 3 * PAGE, 7 * PAGE, 0, "the hole");
}

/* MADV_REMOVE of shared memory makes a hole in the file behind it. */
static void removed(void)
{
	unsigned char *memory = map_filled(MAP_SHARED);

	must(!madvise(memory + 11 * PAGE, PAGE, MADV_REMOVE), "MADV_REMOVE");
	save();
	must(!madvise(memory + 3 * PAGE, 7 * PAGE, MADV_REMOVE), "MADV_REMOVE");
	must(!madvise(memory + 13 * PAGE, 5 * PAGE, MADV_DONTNEED), "MADV_DONTNEED");
	fill(memory + 11 * PAGE, PAGE, seed(2));
	restore();
	expect(memory, 11 * PAGE, seed(1), "removed since");
	expect(memory + 11 * PAGE, PAGE, 0, "removed before");
	fill(memory + 11 * PAGE, PAGE, seed(3));
	fill(memory, 11 * PAGE, seed(1));
	for (int i = 12; i < PAGES; i++)
		for (size_t word = 0; word < PAGE / 8; word++)
			if (((uint64_t *)(memory + i * PAGE))[word] !=
			    word_at(seed(1), i * PAGE / 8 + word))
				wrong("page %d", i);
}

static void free_to_take(void)
{
	unsigned char *memory = map_filled(MAP_PRIVATE);

	save();
	must(!madvise(memory, BYTES, MADV_FREE), "MADV_FREE");
	fill(memory + 5 * PAGE, PAGE, seed(2));
	restore();
	expect(memory, BYTES, seed(1), "memory");
	must(!madvise(memory, BYTES, MADV_FREE), "MADV_FREE");
	(void)madvise(memory, BYTES, MADV_PAGEOUT); /* takes them now, if it can */
	restore();
	expect(memory, BYTES, seed(1), "memory that was taken");
}

static void locked(void)
{
	unsigned char *memory = map_alone(BYTES, MAP_PRIVATE);
	uint64_t before = 0, after = 1;

	must(!mlock(memory, BYTES), "mlock");
	fill(memory, 7 * PAGE, seed(1));
	must(!procfs__status_u64(0, "VmLck", &before), "VmLck");
	save();
	fill(memory, BYTES, seed(2));
	restore();
	expect(memory, 7 * PAGE, seed(1), "locked memory");
	expect(memory + 7 * PAGE, 16 * PAGE, 0, "locked memory that was not written");
	must(!procfs__status_u64(0, "VmLck", &after), "VmLck");
	if (before != after || before < BYTES / 1024)
		wrong("%lu KiB were locked, %lu KiB are", before, after);
	must(!munlock(memory, BYTES), "munlock");
}

/* ---- swap ---- */

static bool has_swap(void)
{
	char text[512];
	int fd = open("/proc/swaps", O_RDONLY | O_CLOEXEC);
	ssize_t length = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;

	if (fd >= 0)
		close(fd);
	return length > 0 && memchr(text, '/', (size_t)length);
}

/* Returns how many of the pages are in swap then. */
static int page_out(unsigned char *memory)
{
	static struct pagemap pagemap; /* too large for a stack */
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), count = 0;
	uint64_t start = (uintptr_t)memory;
	struct pagemap_run run;

	must(fd >= 0, "pagemap");
	pagemap__init(&pagemap, fd);
	for (int tries = 0; tries < 23 && !count; tries++) {
		must(!madvise(memory, BYTES, MADV_PAGEOUT), "MADV_PAGEOUT");
		pagemap__begin(&pagemap, start, start + BYTES, 0);
		while (pagemap__next(&pagemap, &run) > 0)
			if (run.categories & PAGEMAP_SWAPPED)
				count += (int)((run.end - run.start) / PAGE);
	}
	close(fd);
	return count;
}

static void swapped(void)
{
	unsigned char *memory = map_filled(MAP_PRIVATE), *shared = map_filled(MAP_SHARED);

	if (!has_swap())
		finish(WORKLOAD_SKIP, "there is no swap");
	if (!page_out(memory))
		finish(WORKLOAD_SKIP, "the kernel does not swap these pages out");
	(void)madvise(shared, BYTES, MADV_PAGEOUT);
	save(); /* of what is in swap */
	fill(memory + PAGE, 11 * PAGE, seed(2));
	fill(shared + PAGE, 11 * PAGE, seed(2));
	restore();
	expect(memory, BYTES, seed(1), "memory that was in swap");
	expect(shared, BYTES, seed(1), "shared memory that was in swap");
	fill(memory, BYTES, seed(3));
	fill(shared, BYTES, seed(3));
	(void)page_out(memory);
	(void)madvise(shared, BYTES, MADV_PAGEOUT);
	restore(); /* over what is in swap */
	expect(memory, BYTES, seed(1), "memory, over what is in swap");
	expect(shared, BYTES, seed(1), "shared memory, over what is in swap");
}

/* ---- guards ---- */

/* Can the kernel read the page for us? Not if it is guarded. */
static bool is_readable(const unsigned char *page)
{
	int ends[2], can;

	must(!pipe(ends), "pipe");
	can = write(ends[1], page, 1) == 1;
	close(ends[0]);
	close(ends[1]);
	return can;
}

static void guarded(void)
{
	unsigned char *memory = map_filled(MAP_PRIVATE), *guards = memory + 7 * PAGE;

	if (madvise(guards, 3 * PAGE, MADV_GUARD_INSTALL))
		finish(WORKLOAD_SKIP, "the kernel has no MADV_GUARD_INSTALL (since 6.13)");
	save();
	fill(memory, 7 * PAGE, seed(2));
	fill(memory + 10 * PAGE, 13 * PAGE, seed(2));
	restore();
	expect(memory, 7 * PAGE, seed(1), "before the guards");
	for (int i = 0; i < 3; i++)
		if (is_readable(guards + i * PAGE))
			wrong("guard %d guards no more", i);
	must(!madvise(guards, 3 * PAGE, MADV_GUARD_REMOVE), "MADV_GUARD_REMOVE");
	expect(guards, 3 * PAGE, 0, "what was guarded");
	fill(guards, 3 * PAGE, seed(3));
	restore();
	expect(guards, 3 * PAGE, 0, "what was guarded and is no more");
}

/* A guard over data that was saved: like memory without access, it stays, or a message tells. */
static void guarded_since(void)
{
	unsigned char *memory = map_filled(MAP_PRIVATE);

	save();
	if (madvise(memory + 7 * PAGE, PAGE, MADV_GUARD_INSTALL))
		finish(WORKLOAD_SKIP, "the kernel has no MADV_GUARD_INSTALL (since 6.13)");
	fill(memory, 7 * PAGE, seed(2));
	restore();
	expect(memory, 7 * PAGE, seed(1), "before the guard");
	if (is_readable(memory + 7 * PAGE))
		wrong("the guard guards no more");
}

/* ---- huge pages ---- */

static void transparent(void)
{
	size_t bytes = 3 * HUGE;
	unsigned char *all = map_at(NULL, bytes + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	unsigned char *memory = all + (HUGE - (uintptr_t)all % HUGE);

	(void)madvise(memory, bytes, MADV_HUGEPAGE); /* without them it must be right as well */
	fill(memory, bytes - HUGE, seed(1));
	save();
	fill(memory + 23, HUGE, seed(2));
	must(!madvise(memory + 7 * PAGE, PAGE, MADV_DONTNEED), "MADV_DONTNEED"); /* splits it */
	fill(memory + 2 * HUGE, PAGE + 23, seed(3));
	restore();
	expect(memory, bytes - HUGE, seed(1), "huge pages");
	expect(memory + 2 * HUGE, HUGE, 0, "a huge page that was not there");
	must(!munmap(all, bytes + HUGE), "munmap");
}

static unsigned char *map_huge(int flags)
{
	void *memory = mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE,
			    flags | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

	if (memory == MAP_FAILED)
		finish(WORKLOAD_SKIP, "no huge pages are set aside (vm.nr_hugepages): %s",
		       strerror(errno));
	return memory;
}

static void huge(void)
{
	unsigned char *private = map_huge(MAP_PRIVATE), *shared = map_huge(MAP_SHARED);

	fill(private, HUGE, seed(1));
	fill(shared, HUGE, seed(1));
	save();
	for (int round = 2; round < 5; round++) {
		fill(private + 23, HUGE, seed(round));
		fill(shared + 23, HUGE, seed(round));
		restore();
		expect(private, HUGE, seed(1), "private huge page");
		expect(shared, HUGE, seed(1), "shared huge page");
		expect(private + HUGE, HUGE, 0, "private huge page, not touched before");
		expect(shared + HUGE, HUGE, 0, "shared huge page, not touched before");
	}
	must(!munmap(private, 2 * HUGE) && !munmap(shared, 2 * HUGE), "munmap");
}

int main(int argc, char **argv)
{
	static const struct workload workloads[] = {
		{"discarded", discarded},
		{"discarded-before", discarded_before},
		{"removed", removed},
		{"free-to-take", free_to_take},
		{"locked", locked},
		{"swapped", swapped},
		{"guarded", guarded},
		{"guarded-since", guarded_since},
		{"transparent-huge", transparent},
		{"huge", huge},
		{NULL, NULL},
	};

	return play_workloads(workloads, argc, argv);
}
