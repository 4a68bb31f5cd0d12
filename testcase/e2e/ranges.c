/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ranges SCENE...: what may become of a mapping between a checkpoint and a restore, or before. What is
 * still there gets its bytes back, what came instead is left alone. `ranges list` names the scenes.
 * Exit status: 0 right, 1 memory is wrong, 2 it could not run, 77 this machine cannot do it.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/shm.h>
#include "check.h"
#include "client/client.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

enum {
	PART = 5 * PAGE,
	WHOLE = 3 * PART,
	LARGE = 16 << 20, /* longer than a hook registers or drops by itself (bpf/tracer.h) */
	LIMIT_SECONDS = 100,
};

static void save(void)
{
	int err = client__save(0);

	if (err)
		finish(CHECK_BROKEN, "save: %s\n", client__strerror(err));
}

static void restore(void)
{
	int err = client__restore(0);

	if (err)
		finish(CHECK_BROKEN, "restore: %s\n", client__strerror(err));
}

static void must(int ok, const char *what)
{
	if (!ok)
		finish(CHECK_BROKEN, "%s: %m\n", what);
}

static int is_mapped(void *at)
{
	unsigned char resident;

	return !mincore(at, PAGE, &resident);
}

static void protect(void *at, size_t bytes, int protection)
{
	must(!mprotect(at, bytes, protection), "mprotect");
}

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
			finish(CHECK_WRONG, "byte %zu of what is left of the middle\n", i);
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

static void discarded(void)
{
	unsigned char *memory = save_three();

	must(!madvise(memory + PART, PART, MADV_DONTNEED), "madvise");
	scramble_outer(memory);
	restore();
	check_outer(memory);
	expect(memory + PART, PART, 1, "what was discarded");
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

static const struct {
	const char *name;
	void (*play)(void);
} scenes[] = {
	{"unmapped", unmapped},
	{"replaced", replaced},
	{"replaced-in-part", replaced_in_part},
	{"replaced-by-hint", replaced_by_hint},
	{"replaced-by-file", replaced_by_file},
	{"replaced-by-shm", replaced_by_shm},
	{"moved", moved},
	{"moved-away", moved_away},
	{"shrunk", shrunk},
	{"grown", grown},
	{"grown-before", grown_before},
	{"read-only", read_only},
	{"no-access", no_access},
	{"no-access-before", no_access_before},
	{"read-only-before", read_only_before},
	{"reserved", reserved},
	{"dev-zero", dev_zero},
	{"brk-again", brk_again},
	{"brk-shrunk", brk_shrunk},
	{"discarded", discarded},
	{"shared-hole", shared_hole},
	{"untouched", untouched},
	{"large", large},
	{"large-unmapped", large_unmapped},
	{"large-replaced", large_replaced},
	{"large-moved", large_moved},
	{"grows-down", grows_down},
	{"transparent-huge", transparent_huge},
	{"huge", huge},
	{"swapped", swapped},
	{"files", files},
	{"churned", churned},
};

static void play(const char *name)
{
	(void)alarm(LIMIT_SECONDS);
	for (size_t i = 0; i < sizeof(scenes) / sizeof(*scenes); i++) {
		if (!strcmp(name, scenes[i].name)) {
			scenes[i].play();
			say("%s: ok\n", name);
			return;
		}
	}
	finish(CHECK_BROKEN, "there is no scene %s\n", name);
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "list")) {
		for (size_t i = 0; i < sizeof(scenes) / sizeof(*scenes); i++)
			say("%s\n", scenes[i].name);
		return CHECK_OK;
	}
	for (int i = 1; i < argc; i++)
		play(argv[i]);
	finish(argc > 1 ? CHECK_OK : CHECK_BROKEN, "%d scenes\n", argc - 1);
}
