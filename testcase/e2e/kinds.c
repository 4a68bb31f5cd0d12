/* SPDX-License-Identifier: BSD-2-Clause
 *
 * kinds SCENE...: memory that is more than a private mapping: the heap, what is shared, reserved or
 * grows by itself, huge pages, what is swapped out, files. `kinds list` names the scenes.
 * Exit status: 0 right, 1 memory is wrong, 2 it could not run, 77 this machine cannot do it.
 */
#include <fcntl.h>
#include "scene.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

enum { PART = 5 * PAGE, WHOLE = 3 * PART };

static void reserved(void)
{
	unsigned char *memory = map_at(NULL, 1 << 30, PROT_NONE, MAP_PRIVATE | MAP_NORESERVE);

	protect(memory + PART, WHOLE, PROT_READ | PROT_WRITE);
	fill(memory + PART, WHOLE, 1);
	save();
	scramble(memory + PART, WHOLE);
	protect(memory + PART + WHOLE, PART, PROT_READ | PROT_WRITE);
	fill(memory + PART + WHOLE, PART, 2);
	restore();
	expect(memory + PART, WHOLE, 1, "memory");
	expect_zeros(memory + PART + WHOLE, PART, "what came later");
}

/* A private mapping of /dev/zero is anonymous memory by another name. */
static void dev_zero(void)
{
	int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
	unsigned char *memory = mmap(NULL, WHOLE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

	must(fd >= 0 && memory != MAP_FAILED, "/dev/zero");
	fill(memory, PART, 1);
	save();
	scramble(memory, WHOLE);
	restore();
	expect(memory, PART, 1, "memory");
	expect_zeros(memory + PART, WHOLE - PART, "what came later");
}

static void brk_again(void)
{
	unsigned char *memory = sbrk(WHOLE);

	memory += -(uintptr_t)memory & (PAGE - 1);
	must(sbrk(PAGE) != (void *)-1, "sbrk");
	fill(memory, WHOLE, 1);
	save();
	must(!brk(memory + PART), "brk");
	must(!brk(memory + WHOLE), "brk");
	expect_zeros(memory + PART, WHOLE - PART, "the new heap");
	fill(memory + PART, WHOLE - PART, 2);
	scramble(memory, PART);
	restore();
	expect(memory, PART, 1, "the old heap");
	expect(memory + PART, WHOLE - PART, 2, "the new heap");
}

static void brk_shrunk(void)
{
	unsigned char *memory = sbrk(WHOLE + PAGE);

	memory += -(uintptr_t)memory & (PAGE - 1);
	fill(memory, WHOLE, 1);
	save();
	must(!brk(memory + PART), "brk");
	scramble(memory, PART);
	restore();
	expect(memory, PART, 1, "the heap");
	if (is_mapped(memory + 2 * (size_t)PART))
		finish(CHECK_WRONG, "the end of the heap is there again\n");
}

static void shared_hole(void)
{
	unsigned char *memory = map_at(NULL, WHOLE, PROT_READ | PROT_WRITE, MAP_SHARED);

	fill(memory, WHOLE, 1);
	save();
	must(!madvise(memory, WHOLE, MADV_REMOVE), "madvise");
	restore();
	expect(memory, WHOLE, 1, "memory");
}

/* Grows downwards by being touched, without a system call. */
static void grows_down(void)
{
	const int flags = MAP_PRIVATE | MAP_GROWSDOWN | MAP_FIXED;
	unsigned char *room = map_at(NULL, 4 << 20, PROT_NONE, MAP_PRIVATE), *memory;

	must(!munmap(room, 4 << 20), "munmap");
	memory = map_at(room + (3 << 20), PART, PROT_READ | PROT_WRITE, flags);
	for (unsigned char *page = memory; page >= memory - PART; page -= PAGE)
		*page = 0;
	memory -= PART;
	fill(memory, 2 * (size_t)PART, 1);
	save();
	scramble(memory, 2 * (size_t)PART);
	restore();
	expect(memory, 2 * (size_t)PART, 1, "memory");
}

static void transparent_huge(void)
{
	enum { HUGE = 2 << 20 };
	unsigned char *memory = map_alone(3 * (size_t)HUGE);

	memory += -(uintptr_t)memory & (HUGE - 1);
	if (madvise(memory, 2 * (size_t)HUGE, MADV_HUGEPAGE))
		finish(CHECK_SKIP, "no transparent huge pages: %m\n");
	fill(memory, HUGE, 1);
	save();
	scramble(memory, HUGE);
	fill(memory + HUGE, HUGE, 2);
	restore();
	expect(memory, HUGE, 1, "memory");
	expect_zeros(memory + HUGE, HUGE, "a huge page touched later");
}

static void huge(void)
{
	enum { HUGE = 2 << 20 };
	unsigned char *memory = mmap(NULL, HUGE, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

	if (memory == MAP_FAILED)
		finish(CHECK_SKIP, "no huge pages: %m\n");
	fill(memory, HUGE, 1);
	save();
	scramble(memory, HUGE);
	restore();
	expect(memory, HUGE, 1, "memory");
}

/* Checks with the entry of the first page that there is a swap, and that it was used. */
static void page_out(unsigned char *memory, size_t bytes)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY);
	off_t at = (off_t)((uintptr_t)memory / PAGE * sizeof(entry));

	(void)madvise(memory, bytes, MADV_PAGEOUT);
	if (pread(fd, &entry, sizeof(entry), at) != sizeof(entry) || !(entry >> 62 & 1))
		finish(CHECK_SKIP, "nothing was swapped out: no swap?\n");
	(void)close(fd);
}

static void swapped(void)
{
	unsigned char *memory = map_alone(WHOLE);

	fill(memory, WHOLE, 1);
	page_out(memory, WHOLE);
	save();
	scramble(memory, WHOLE);
	page_out(memory, WHOLE);
	restore();
	expect(memory, WHOLE, 1, "memory");
}

static void files(void)
{
	int fd = memfd_create("file", 0);
	unsigned char *shared, *own;

	must(fd >= 0 && !ftruncate(fd, WHOLE), "memfd_create");
	shared = mmap(NULL, WHOLE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	own = mmap(NULL, WHOLE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	must(shared != MAP_FAILED && own != MAP_FAILED, "mmap");
	fill(shared, WHOLE, 1);
	fill(own, WHOLE, 1);
	save();
	fill(shared, WHOLE, 2);
	fill(own, WHOLE, 2);
	restore();
	expect(shared, WHOLE, 2, "a shared file");
	expect(own, WHOLE, 2, "a private file");
}

static const struct scene scenes[] = {
	{"reserved", reserved},
	{"dev-zero", dev_zero},
	{"brk-again", brk_again},
	{"brk-shrunk", brk_shrunk},
	{"shared-hole", shared_hole},
	{"grows-down", grows_down},
	{"transparent-huge", transparent_huge},
	{"huge", huge},
	{"swapped", swapped},
	{"files", files},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return play_scenes(scenes, argc, argv);
}
