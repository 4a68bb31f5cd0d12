/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Scenes of memory: written, mapped, moved, protected, given back, of files and in huge pages.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scenes.h"

static unsigned char bss[17 * PAGE];
static __thread int tls_number = 23;

static void write_some(int round)
{
	scene__data[round * 97L] ^= 0x55;
	bss[round * 1021L] += 3;
	scene__block[round * 3571L] ^= 1;
	scene__block[2 * PAGE + round] ^= 1;
	tls_number++;
	errno = round;
}

static void write_all(int round)
{
	(void)round;
	scene__fill(scene__block, BLOCK, (unsigned int)round);
	scene__fill(scene__second, BLOCK, (unsigned int)round);
	scene__fill(bss, sizeof(bss), (unsigned int)round);
}

static void __attribute__((noinline)) use_stack(int round)
{
	unsigned char buffer[90000];

	scene__fill(buffer, sizeof(buffer), (unsigned int)round);
	__asm__ volatile("" : : "r"(buffer) : "memory");
}

static void use_heap(int round)
{
	void *blocks[97];

	for (int i = 0; i < 97; i++) {
		const size_t bytes = (size_t)i * (size_t)i * 31 + (size_t)round + 1;

		blocks[i] = malloc(bytes);
		check(blocks[i]);
		memset(blocks[i], i, bytes);
	}
	for (int i = 0; i < 97; i += 2)
		free(blocks[i]);
	free(malloc(3 << 20));
}

static void move_break(int round)
{
	char *end = sbrk(0);

	if (round % 3 == 0) {
		check(sbrk(23 * PAGE) != (void *)-1);
		memset(end, 1, 23 * PAGE);
	} else if (round % 3 == 1) {
		check(brk(end - 5 * PAGE) == 0);
	} else {
		check(brk(end - 7 * PAGE) == 0 && brk(end + 3 * PAGE) == 0);
		memset(end - 7 * PAGE, 2, 10 * PAGE);
	}
}

static void grow_heap(int round)
{
	char *end = sbrk((round + 7) * (long)PAGE);

	check(end != (void *)-1);
	memset(end - 5 * PAGE, round, 12 * PAGE);
}

static void begin_break(void)
{
	char *end = sbrk(11 * PAGE);

	memset(end, 3, 11 * PAGE);
}

static void map_more(int round)
{
	scene__fill(scene__map((size_t)(round + 1) * PAGE), PAGE, 3);
	check(mmap(scene__block + BLOCK + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		   0) != MAP_FAILED);
	check(mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) !=
	      MAP_FAILED);
}

static void unmap_some(int round)
{
	check(munmap(scene__block + (size_t)(round % 60) * PAGE, 5 * PAGE) == 0);
	if (round % 2)
		check(munmap(scene__second, BLOCK) == 0);
}

static void replace(int round)
{
	check(mmap(scene__block + (size_t)(round % 60) * PAGE, 5 * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
	if (round % 2)
		check(mmap(scene__second, BLOCK, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
	if (round % 3 == 0)
		scene__second[round * PAGE] = 1;
}

static void protect(int round)
{
	scene__block[5 * PAGE + round] = 1;
	check(mprotect(scene__block + PAGE, 9 * PAGE, round % 2 ? PROT_READ : PROT_NONE) == 0);
	check(mprotect(scene__second, BLOCK, PROT_READ | PROT_WRITE) == 0);
	scene__second[round] = 1;
	if (round % 2)
		check(mprotect(scene__second, BLOCK, PROT_READ) == 0);
}

static void begin_protect(void)
{
	check(mprotect(scene__second, BLOCK, PROT_NONE) == 0);
}

static void reserve_use(int round)
{
	unsigned char *at = scene__second + (size_t)round * PAGE;

	check(mprotect(at, 2 * PAGE, PROT_READ | PROT_WRITE) == 0);
	check(at[0] == 0 && at[PAGE] == 0);
	memset(at, 1, 2 * PAGE);
	if (round % 2)
		check(mprotect(at, 2 * PAGE, PROT_NONE) == 0);
}

static void begin_reserve(void)
{
	check(munmap(scene__second, BLOCK) == 0);
	check(mmap(scene__second, BLOCK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		   0) == scene__second);
}

static void move(int round)
{
	unsigned char *moved =
		mremap(scene__block, BLOCK, BLOCK + (size_t)round * PAGE, MREMAP_MAYMOVE);

	check(moved != MAP_FAILED);
	moved[round] ^= 1;
	check(mremap(scene__second, BLOCK, 3 * PAGE, 0) == scene__second);
	if (round % 2)
		scene__block = scene__map(BLOCK);
}

/* A part that is mapped again is one mapping with the rest, which mremap(2) asks for. */
static void move_whole(int round)
{
	if (round % 2)
		check(mremap(scene__block, BLOCK, 2 * BLOCK, MREMAP_MAYMOVE) != MAP_FAILED);
	else
		check(munmap(scene__block + (size_t)(round + 23) * PAGE, PAGE) == 0);
}

static void discard(int round)
{
	unsigned char *at = scene__block + (size_t)round * PAGE;
	volatile unsigned char sum = 0;

	check(madvise(at, 7 * PAGE, MADV_DONTNEED) == 0);
	if (round % 3 == 0)
		for (int i = 0; i < 7; i++)
			sum += at[i * PAGE];
	check(sum == 0);
	if (round % 3 == 1)
		at[3 * PAGE] = 1;
	if (round % 5 == 0)
		check(madvise(scene__second, BLOCK, MADV_DONTNEED) == 0);
	check(madvise(scene__data + PAGE, 2 * PAGE, MADV_DONTNEED) == 0);
}

static void use_absent(int round)
{
	bss[3 * PAGE + round] = 1;
	bss[(round % 13) * PAGE] = 1;
	scene__second[5 * PAGE] = scene__second[9 * PAGE] = 1;
}

static void begin_absent(void)
{
	check(madvise(scene__second, BLOCK, MADV_DONTNEED) == 0);
	scene__second[9 * PAGE] = 2;
}

static void use_file(int round)
{
	volatile unsigned char c;

	scene__second[round * PAGE] ^= 3;
	if (round % 3 == 0)
		check(madvise(scene__second, 15 * PAGE, MADV_DONTNEED) == 0);
	c = scene__second[2 * PAGE];
	(void)c;
	scene__second[PAGE] ^= 1;
}

static void unmap_file(int round)
{
	scene__second[round] ^= 1;
	check(munmap(scene__second, (round % 2 ? 3 : 1) * PAGE) == 0);
}

static void begin_unmap_file(void)
{
	int fd = open(scene__program, O_RDONLY | O_CLOEXEC);

	check(munmap(scene__second, BLOCK) == 0);
	check(mmap(scene__second, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd,
		   0) == scene__second);
	check(close(fd) == 0);
	scene__second[0] ^= 1;
}

/* The kernel's writes to an armed page. */
static void read_into(int round)
{
	int ends[2];

	check(pipe(ends) == 0);
	check(write(ends[1], scene__data, 3000) == 3000);
	check(read(ends[0], scene__block + round * PAGE + 2000, 3000) == 3000);
	check(close(ends[0]) == 0 && close(ends[1]) == 0);
}

static void keep(int round)
{
	scene__block[5 * PAGE + 100] = (unsigned char)round;
	scene__block[5 * PAGE + 99] = (unsigned char)round;
	scene__block[6 * PAGE - 1] = (unsigned char)round;
	scene__block[6 * PAGE] = (unsigned char)round;
}

static void verify_kept(void)
{
	if (scene__shared->round > 0)
		check(scene__block[5 * PAGE + 100] == scene__shared->round - 1 &&
		      scene__block[6 * PAGE - 1] == scene__shared->round - 1);
}

static void begin_kept(void)
{
	scene__shared->view.ignored[scene__shared->view.ignored_count++] =
		(struct whole_memory_range){(uintptr_t)scene__block + 5 * PAGE + 100,
					    (uintptr_t)scene__block + 6 * PAGE};
}

static void huge_write(int round)
{
	scene__second[(size_t)round * 111111] ^= 1;
}

static void begin_huge(void)
{
	scene__second = scene__map(8 << 20);
	scene__second =
		(unsigned char *)(((uintptr_t)scene__second + (2 << 20) - 1) & ~((2UL << 20) - 1));
	check(madvise(scene__second, 4 << 20, MADV_HUGEPAGE) == 0);
	scene__fill(scene__second, 4 << 20, 5);
}

static void begin_large(void)
{
	scene__second = scene__map(7 << 20);
	scene__fill(scene__second, 5 << 20, 6);
}

/* Whole page tables go. */
static void discard_large(int round)
{
	scene__second[(size_t)round * 511111] ^= 1;
	check(madvise(scene__second + (size_t)round * PAGE, 3 << 20, MADV_DONTNEED) == 0);
	if (round % 2)
		scene__second[(size_t)round * 311111] ^= 1;
	scene__second[(6 << 20) + round] = 1;
}

/* Memory that was hardly used, at its ends too. */
enum { SPARSE_BYTES = 5 << 20, SPARSE_USED = 14 };

static unsigned char *sparse_page(int i)
{
	const size_t last = SPARSE_BYTES / PAGE - 1;

	return scene__second + ((size_t)i * (size_t)i * last / 169) * PAGE;
}

static void begin_sparse(void)
{
	scene__second = scene__map(SPARSE_BYTES + PAGE);
	check(munmap(scene__second + SPARSE_BYTES, PAGE) == 0); /* the mapping ends here */
	for (int i = 0; i < SPARSE_USED; i++)
		scene__fill(sparse_page(i), PAGE, (unsigned int)i);
}

static void discard_sparse(int round)
{
	const int first = round % SPARSE_USED;

	*sparse_page(3) ^= 1;
	check(madvise(sparse_page(first), PAGE, MADV_DONTNEED) == 0);
	if (round % 2)
		check(madvise(sparse_page(SPARSE_USED - 1), PAGE, MADV_DONTNEED) == 0);
	if (round % 3 == 0)
		check(madvise(sparse_page(5), 3 << 20, MADV_DONTNEED) == 0);
	sparse_page(7)[(1 + round) * (long)PAGE] = 1;
}

static void replace_large(int round)
{
	void *at = scene__second + ((size_t)round << 19);

	check(mmap(at, 2 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		   0) == at);
	scene__second[(size_t)round * 511111] ^= 1;
}

/* Mappings with nothing beside them, so that another one in their place is listed as they were.
 * Nothing of the last one was used. */
enum { ALONE = 5, ALONE_BYTES = 7 * PAGE };
static unsigned char *alone[ALONE];

static void begin_alone(void)
{
	for (int i = 0; i < ALONE; i++) {
		alone[i] = (unsigned char *)scene__map(ALONE_BYTES + 2 * PAGE) + PAGE;
		check(munmap(alone[i] - PAGE, PAGE) == 0);
		check(munmap(alone[i] + ALONE_BYTES, PAGE) == 0);
		if (i < ALONE - 1)
			scene__fill(alone[i] + i * PAGE, 2 * PAGE, 8);
	}
}

static void replace_alone(int round)
{
	unsigned char *at = alone[round % ALONE], *moved = alone[(round + 1) % ALONE];
	void *away = scene__map(ALONE_BYTES);

	check(mmap(at, ALONE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		   -1, 0) == at);
	at[6 * PAGE] = 1;
	if (round % 2)
		at[round % ALONE * PAGE] = 1;
	check(mremap(moved, ALONE_BYTES, ALONE_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, away) == away);
	check(mremap(away, ALONE_BYTES, ALONE_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, moved) ==
	      moved);
	moved[6 * PAGE] = 2;
}

/* The bytes that keep() writes. */
static void exclude_kept(void)
{
	check(rollback__exclude(scene__shared->rollback, scene__block + 5 * PAGE + 100,
				PAGE - 100) == 0);
}

/* A page of a file that nobody had written. Some of its bytes keep their value, all others become
 * those of the file again. */
#define IN_FILE (20 * PAGE + 100)

static void keep_in_file(int round)
{
	memset(scene__second + IN_FILE - 1, round + 1, 102);
}

static void verify_kept_in_file(void)
{
	if (scene__shared->round > 0)
		check(scene__second[IN_FILE] == scene__shared->round &&
		      scene__second[IN_FILE + 99] == scene__shared->round);
}

static void begin_kept_in_file(void)
{
	scene__begin_file();
	scene__shared->view.ignored[scene__shared->view.ignored_count++] =
		(struct whole_memory_range){(uintptr_t)scene__second + IN_FILE,
					    (uintptr_t)scene__second + IN_FILE + 100};
}

static void exclude_kept_in_file(void)
{
	check(rollback__exclude(scene__shared->rollback, scene__second + IN_FILE, 100) == 0);
}

const struct scene scenes_memory[] = {
	SCENE(write_some, NULL),
	SCENE(write_all, NULL),
	SCENE(use_stack, NULL),
	SCENE(use_heap, NULL),
	SCENE(move_break, begin_break),
	SCENE(map_more, NULL),
	SCENE(unmap_some, NULL),
	SCENE(replace, NULL),
	SCENE(protect, begin_protect),
	SCENE(reserve_use, begin_reserve),
	SCENE(move, NULL),
	SCENE(move_whole, NULL),
	SCENE(discard, NULL),
	SCENE(use_absent, begin_absent),
	SCENE(use_file, scene__begin_file),
	SCENE(unmap_file, begin_unmap_file),
	SCENE(read_into, NULL),
	{"keep", 0, begin_kept, exclude_kept, keep, verify_kept},
	{"keep_in_file", 0, begin_kept_in_file, exclude_kept_in_file, keep_in_file,
	 verify_kept_in_file},
	SCENE(huge_write, begin_huge),
	SCENE(discard_large, begin_large),
	SCENE(discard_sparse, begin_sparse),
	SCENE(replace_large, begin_large),
	SCENE(replace_alone, begin_alone),
	{"fixed_mappings", ROLLBACK_FIXED_MAPPINGS, begin_break, NULL, write_some, NULL},
	{"fixed_state", ROLLBACK_FIXED_STATE, begin_break, NULL, write_some, NULL},
	{"fixed_break", ROLLBACK_FIXED_STATE, begin_break, NULL, grow_heap, NULL},
	{"fixed_discard", ROLLBACK_FIXED_STATE, begin_large, NULL, discard_large, NULL},
	{"fixed_sparse", ROLLBACK_FIXED_STATE, begin_sparse, NULL, discard_sparse, NULL},
	{"fixed_file", ROLLBACK_FIXED_STATE, scene__begin_file, NULL, use_file, NULL},
	{0},
};
