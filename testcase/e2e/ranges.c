/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ranges SCENE...: mappings that change before a checkpoint, or between it and a restore.
 * Memory that is still there gets its bytes back; memory that came instead is left alone.
 * `ranges list` names the scenes. Exit status: 0 right, 1 memory is wrong, 2 it could not
 * run, 77 this machine cannot do it.
 */
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include "scene.h"

enum {
	PART = 5 * PAGE,
	WHOLE = 3 * PART,
	LARGE = 16 << 20, /* longer than a hook registers or drops by itself (bpf/tracer.h) */
};

/* Three parts filled with seed 1, and a checkpoint. */
static unsigned char *save_three(void)
{
	unsigned char *memory = map_alone(WHOLE);

	for (int i = 0; i < 3; i++)
		fill(memory + (size_t)i * PART, PART, 1);
	save();
	return memory;
}

static void check_outer(unsigned char *memory)
{
	expect(memory, PART, 1, "first part");
	expect(memory + 2 * (size_t)PART, PART, 1, "last part");
}

static void scramble_outer(unsigned char *memory)
{
	scramble(memory, PART);
	scramble(memory + 2 * (size_t)PART, PART);
}

static void unmapped(void)
{
	unsigned char *memory = save_three();

	must(!munmap(memory + PART, PART), "munmap");
	scramble_outer(memory);
	restore();
	check_outer(memory);
	if (is_mapped(memory + PART))
		finish(CHECK_WRONG, "what was unmapped is there again\n");
}

static void replace(int flags, size_t bytes, int fd)
{
	unsigned char *memory = save_three(), *middle = memory + PART;

	if (!(flags & MAP_FIXED))
		must(!munmap(middle, PART), "munmap");
	must(mmap(middle, bytes, PROT_READ | PROT_WRITE, flags, fd, 0) == middle, "mmap");
	scramble(memory, WHOLE);
	fill(middle, bytes, 2);
	restore();
	check_outer(memory);
	expect(middle, bytes, 2, "what came instead");
	for (size_t i = bytes; i < PART; i++)
		if (middle[i] != byte_at(1, i))
			finish(CHECK_WRONG, "byte %zu of the rest of the middle\n", i);
}

static void replaced(void)
{
	replace(MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, PART, -1);
}

static void replaced_in_part(void)
{
	replace(MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, PAGE, -1);
}

static void replaced_by_hint(void)
{
	replace(MAP_PRIVATE | MAP_ANONYMOUS, PART, -1);
}

static void replaced_by_file(void)
{
	int fd = memfd_create("file", 0);

	must(fd >= 0 && !ftruncate(fd, PART), "memfd_create");
	replace(MAP_SHARED | MAP_FIXED, PART, fd);
}

static void replaced_by_shm(void)
{
	unsigned char *memory = save_three(), *middle = memory + PART;
	int id = shmget(IPC_PRIVATE, PART, 0600);

	must(id >= 0 && shmat(id, middle, SHM_REMAP) == (void *)middle, "shmat");
	(void)shmctl(id, IPC_RMID, NULL);
	fill(middle, PART, 2);
	scramble_outer(memory);
	restore();
	check_outer(memory);
	expect(middle, PART, 2, "what came instead");
}

enum { REFUSED = 4 * PAGE }; /* no size for a mapping of a file of perf */

/* A call that fails after it has unmapped the range, and a new mapping in its place. */
static void replace_after_failure(unsigned char *at, int fd)
{
	must(mmap(at, REFUSED, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED,
	     "a failing mmap");
	if (is_mapped(at))
		finish(CHECK_SKIP, "the old range is still there\n");
	must(map_at(at, REFUSED, PROT_READ | PROT_WRITE, MAP_PRIVATE) == (void *)at, "mmap");
	fill(at, REFUSED, 2);
}

static void replaced_after_failure(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr), .config = PERF_COUNT_SW_DUMMY};
	int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	unsigned char *memory, *reserved = map_at(NULL, REFUSED, PROT_NONE, MAP_PRIVATE);

	if (fd < 0)
		finish(CHECK_SKIP, "perf_event_open: %m\n");
	memory = save_three();
	replace_after_failure(memory + PART, fd);
	replace_after_failure(reserved, fd);
	scramble_outer(memory);
	restore();
	check_outer(memory);
	expect(memory + PART, REFUSED, 2, "what came instead");
	expect(reserved, REFUSED, 2, "what came instead of reserved memory");
}

static void moved(void)
{
	unsigned char *memory = save_three(), *there = map_alone(PART);

	must(mremap(memory + PART, PART, PART, MREMAP_MAYMOVE | MREMAP_FIXED, there) ==
		     (void *)there,
	     "mremap");
	fill(there, PART, 2);
	scramble_outer(memory);
	restore();
	check_outer(memory);
	expect(there, PART, 2, "what was moved");
	if (is_mapped(memory + PART))
		finish(CHECK_WRONG, "the old place is mapped again\n");
}

/* A part of it is newer than the checkpoint. Without a tracer it is one mapping. */
static void partly_newer(void)
{
	const size_t bytes = 300 * (size_t)PAGE;
	unsigned char *memory = map_alone(bytes);

	fill(memory, bytes, 1);
	save();
	must(mmap(memory + bytes - PART, PART, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED,
	     "mmap");
	fill(memory + bytes - PART, PART, 2);
	printf("mremap %s\n",
	       mremap(memory, bytes, 2 * bytes, MREMAP_MAYMOVE) == MAP_FAILED ? "fails" : "works");
	must(!fflush(stdout), "fflush");
}

/* The old place stays mapped, without pages (Linux 5.7). */
static void moved_away(void)
{
	unsigned char *memory = save_three(), *there;

	there = mremap(memory + PART, PART, PART, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	must(there != MAP_FAILED, "mremap");
	fill(there, PART, 2);
	scramble_outer(memory);
	restore();
	check_outer(memory);
	expect(there, PART, 2, "what was moved");
	expect(memory + PART, PART, 1, "the old place");
}

static void shrunk(void)
{
	unsigned char *memory = save_three();

	must(mremap(memory, WHOLE, PART, 0) == (void *)memory, "mremap");
	scramble(memory, PART);
	restore();
	expect(memory, PART, 1, "what is left");
	if (is_mapped(memory + PART))
		finish(CHECK_WRONG, "what was cut off is there again\n");
}

static void grown(void)
{
	unsigned char *memory = map_alone(WHOLE);

	must(!munmap(memory + PART, 2 * (size_t)PART), "munmap");
	fill(memory, PART, 1);
	save();
	must(mremap(memory, PART, WHOLE, 0) == (void *)memory, "mremap");
	fill(memory + PART, 2 * (size_t)PART, 2);
	scramble(memory, PART);
	restore();
	expect(memory, PART, 1, "the old part");
	expect(memory + PART, 2 * (size_t)PART, 2, "the new part");
}

static void grown_before(void)
{
	unsigned char *memory = map_alone(PART);

	memory = mremap(memory, PART, WHOLE, MREMAP_MAYMOVE);
	must(memory != MAP_FAILED, "mremap");
	fill(memory, WHOLE, 1);
	save();
	scramble(memory, WHOLE);
	restore();
	expect(memory, WHOLE, 1, "memory");
}

static void read_only(void)
{
	unsigned char *memory = save_three();

	scramble_outer(memory);
	scramble(memory + PART, PART);
	protect(memory + PART, PART, PROT_READ);
	restore();
	check_outer(memory);
	expect(memory + PART, PART, 1, "what is read-only");
}

static void no_access(void)
{
	unsigned char *memory = save_three();

	scramble_outer(memory);
	scramble(memory + PART, PART);
	protect(memory + PART, PART, PROT_NONE);
	restore();
	check_outer(memory);
	protect(memory + PART, PART, PROT_READ | PROT_WRITE);
	expect(memory + PART, PART, 1, "what had no access");
}

static void no_access_before(void)
{
	unsigned char *memory = map_alone(WHOLE);

	fill(memory, WHOLE, 1);
	protect(memory + PART, PART, PROT_NONE);
	save();
	protect(memory + PART, PART, PROT_READ | PROT_WRITE);
	scramble(memory, WHOLE);
	restore();
	expect(memory, WHOLE, 1, "memory");
}

static void read_only_before(void)
{
	unsigned char *memory = map_alone(WHOLE);

	fill(memory, WHOLE, 1);
	protect(memory, WHOLE, PROT_READ);
	save();
	protect(memory, WHOLE, PROT_READ | PROT_WRITE);
	scramble(memory, WHOLE);
	restore();
	expect(memory, WHOLE, 1, "memory");
}

static void discarded(void)
{
	unsigned char *memory = save_three();

	must(!madvise(memory + PART, PART, MADV_DONTNEED), "madvise");
	scramble_outer(memory);
	restore();
	check_outer(memory);
	expect(memory + PART, PART, 1, "what was discarded");
}

static void untouched(void)
{
	unsigned char *own = map_alone(WHOLE);
	unsigned char *shared = map_at(NULL, WHOLE, PROT_READ | PROT_WRITE, MAP_SHARED);
	unsigned char *only_read = map_alone(WHOLE);

	expect_zeros(only_read, WHOLE, "new memory");
	save();
	fill(own, WHOLE, 2);
	fill(shared, WHOLE, 2);
	fill(only_read, WHOLE, 2);
	restore();
	expect_zeros(own, WHOLE, "private memory");
	expect_zeros(shared, WHOLE, "shared memory");
	expect_zeros(only_read, WHOLE, "memory that was only read");
}

static unsigned char *save_large(void)
{
	unsigned char *memory = map_alone(LARGE + WHOLE);

	fill(memory, LARGE + WHOLE, 1);
	save();
	return memory;
}

static void large(void)
{
	unsigned char *memory = save_large();

	scramble(memory, LARGE + WHOLE);
	restore();
	expect(memory, LARGE + WHOLE, 1, "memory");
}

static void large_unmapped(void)
{
	unsigned char *memory = save_large();

	must(!munmap(memory + PART, LARGE), "munmap");
	scramble(memory, PART);
	restore();
	expect(memory, PART, 1, "what is left");
	if (is_mapped(memory + PART))
		finish(CHECK_WRONG, "what was unmapped is there again\n");
}

static void large_replaced(void)
{
	unsigned char *memory = save_large(), *middle = memory + PART;

	(void)map_at(middle, LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED);
	fill(middle, LARGE, 2);
	scramble(memory, PART);
	restore();
	expect(memory, PART, 1, "what is left");
	expect(middle, LARGE, 2, "what came instead");
}

static void large_moved(void)
{
	unsigned char *memory = save_large(), *there = map_alone(LARGE + WHOLE);

	must(mremap(memory, LARGE + WHOLE, LARGE + WHOLE, MREMAP_MAYMOVE | MREMAP_FIXED, there) ==
		     (void *)there,
	     "mremap");
	fill(there, LARGE + WHOLE, 2);
	restore();
	expect(there, LARGE + WHOLE, 2, "what was moved");
}

/* Small mappings come and go around one that stays. */
static void churned(void)
{
	unsigned char *memory = save_three(), *others[23] = {NULL};

	for (size_t i = 0; i < 999; i++) {
		unsigned char **other = &others[i % 23];
		size_t bytes = (size_t)PAGE * (1 + i % 23);

		if (*other)
			must(!munmap(*other, bytes), "munmap");
		*other = map_at(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE);
		fill(*other, PAGE, i);
	}
	scramble(memory, WHOLE);
	restore();
	for (int i = 0; i < 3; i++)
		expect(memory + (size_t)i * PART, PART, 1, "what stayed");
	for (size_t i = 999 - 23; i < 999; i++)
		expect(others[i % 23], PAGE, i, "what came later");
}

static const struct scene scenes[] = {
	{"unmapped", unmapped},
	{"replaced", replaced},
	{"replaced-in-part", replaced_in_part},
	{"replaced-by-hint", replaced_by_hint},
	{"replaced-by-file", replaced_by_file},
	{"replaced-by-shm", replaced_by_shm},
	{"replaced-after-failure", replaced_after_failure},
	{"moved", moved},
	{"moved-away", moved_away},
	{"partly-newer", partly_newer},
	{"shrunk", shrunk},
	{"grown", grown},
	{"grown-before", grown_before},
	{"read-only", read_only},
	{"no-access", no_access},
	{"no-access-before", no_access_before},
	{"read-only-before", read_only_before},
	{"discarded", discarded},
	{"untouched", untouched},
	{"large", large},
	{"large-unmapped", large_unmapped},
	{"large-replaced", large_replaced},
	{"large-moved", large_moved},
	{"churned", churned},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return play_scenes(scenes, argc, argv);
}
