/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of memory on a child that stands still: copies to and from memory of every protection,
 * which pages hold data, and a process that is gone. The areas are mapped before the fork, so both
 * sides know their addresses. The child writes other bytes there than we do.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../limit.h"
#include "target/memory.h"
#include "tap.h"
#include "valgrind.h"

#define PAGE   4096UL
#define PAGES  23UL
#define PIECES 2301UL
#define PIECE  37UL

static struct {                   /* of both sides, at the same addresses */
	unsigned char *plain;     /* private anonymous, each third page written */
	unsigned char *protected; /* each third page: readable and written, readable, neither */
	unsigned char *shared;    /* shared anonymous; the child never touches it */
	unsigned char *read_only; /* the same memory once more, only for reading */
	unsigned char *file;      /* private, of a file */
	unsigned char *unmapped;  /* nothing in the child */
	int *ready;               /* shared: the child is done */
} area;

static unsigned char *map(int protection, int flags, int fd)
{
	void *start = mmap(NULL, PAGES * PAGE, protection, flags, fd, 0);

	must(start == MAP_FAILED);
	(void)madvise(start, PAGES * PAGE, MADV_NOHUGEPAGE);
	return start;
}

/* The byte that the child writes to an address. */
static unsigned char byte_at(const void *address)
{
	return (unsigned char)(((uintptr_t)address * 0x9e3779b97f4a7c15) >> 56 | 1);
}

static void fill(unsigned char *start, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		start[i] = byte_at(start + i);
}

static bool is_filled(const unsigned char *bytes, const unsigned char *address, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (bytes[i] != byte_at(address + i))
			return false;
	return true;
}

static void make_areas(void)
{
	int read_write = PROT_READ | PROT_WRITE, fd = memfd_create("memory_test", MFD_CLOEXEC);

	must(fd < 0 || ftruncate(fd, (off_t)(PAGES * PAGE)) != 0);
	area.plain = map(read_write, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	area.protected = map(read_write, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	area.shared = map(read_write, MAP_SHARED, fd);
	area.read_only = map(PROT_READ, MAP_SHARED, fd);
	area.file = map(read_write, MAP_PRIVATE, fd);
	area.unmapped = map(read_write, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	area.ready = mmap(NULL, PAGE, read_write, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must((void *)area.ready == MAP_FAILED);
	(void)close(fd);
}

/* The child: writes, says so, and stands still. */
static void __attribute__((noreturn)) run_child(void)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0; i < PAGES; i += 3)
		fill(area.plain + i * PAGE, PAGE);
	fill(area.protected, PAGES * PAGE);
	for (size_t i = 1; i < PAGES; i += 3) {
		if (mprotect(area.protected + i * PAGE, PAGE, PROT_READ) != 0 ||
		    (i + 1 < PAGES &&
		     mprotect(area.protected + (i + 1) * PAGE, PAGE, PROT_NONE) != 0))
			_exit(1);
	}
	if (munmap(area.unmapped, PAGES * PAGE) != 0)
		_exit(1);
	__atomic_store_n(area.ready, 1, __ATOMIC_RELEASE);
	for (;;)
		(void)pause();
}

static pid_t start_child(void)
{
	pid_t child = fork();

	if (child == 0)
		run_child();
	must(child < 0);
	for (unsigned int i = 0; i < LIMIT_SECONDS * 1000; i++) {
		if (__atomic_load_n(area.ready, __ATOMIC_ACQUIRE))
			return child;
		if (waitpid(child, NULL, WNOHANG) == child)
			break;
		(void)usleep(1000);
	}
	(void)printf("Bail out! the child does not get ready\n");
	exit(1);
}

static void test_read(struct memory *memory)
{
	static unsigned char bytes[PAGES * PAGE];
	unsigned int zeros = 0;

	tap__ok(memory__read(memory, (uintptr_t)area.plain, bytes, PAGE) == 0 &&
			is_filled(bytes, area.plain, PAGE),
		"read: a page");
	tap__ok(memory__read(memory, (uintptr_t)area.plain + 4095, bytes, 2) == 0 &&
			is_filled(bytes, area.plain + 4095, 1) && bytes[1] == 0,
		"read: two bytes over the edge of a page, one never touched");
	tap__equal(memory__read(memory, (uintptr_t)area.plain, bytes, sizeof(bytes)), 0,
		   "read: written and untouched pages");
	for (size_t i = PAGE; i < 3 * PAGE; i++)
		zeros += !bytes[i];
	tap__equal(zeros, 2 * PAGE, "read: untouched pages are zeros");
	tap__ok(memory__read(memory, (uintptr_t)area.protected, bytes, sizeof(bytes)) == 0 &&
			is_filled(bytes, area.protected, sizeof(bytes)),
		"read: over pages without access");
	tap__ok(memory__read(memory, (uintptr_t)area.protected + 2 * PAGE + 23, bytes, 23) == 0 &&
			is_filled(bytes, area.protected + 2 * PAGE + 23, 23),
		"read: inside a page without access");
	tap__ok(memory__read(memory, (uintptr_t)area.unmapped, bytes, 23) < 0,
		"read: nothing is mapped");
	tap__ok(memory__read(memory, UINT64_MAX - PAGE, bytes, 23) < 0, "read: a kernel address");
	tap__equal(memory__read(memory, (uintptr_t)area.plain, bytes, 0), 0, "read: no bytes");
}

static void test_write(struct memory *memory)
{
	static unsigned char bytes[PAGES * PAGE], back[PAGES * PAGE];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 23 >> 3);
	tap__ok(memory__write(memory, (uintptr_t)area.protected, bytes, sizeof(bytes)) == 0 &&
			memory__read(memory, (uintptr_t)area.protected, back, sizeof(back)) == 0 &&
			!memcmp(bytes, back, sizeof(bytes)),
		"write: pages of all protections");
	tap__ok(area.protected[0] == 0, "write: not into our own memory");
	tap__ok(memory__write(memory, (uintptr_t)area.file + 23, bytes, 2 * PAGE) == 0 &&
			memory__read(memory, (uintptr_t)area.file + 23, back, 2 * PAGE) == 0 &&
			!memcmp(bytes, back, 2 * PAGE),
		"write: a private mapping of a file");
	tap__ok(area.shared[24] == 0, "write: the file is what it was");
	tap__equal(memory__write(memory, (uintptr_t)area.read_only, bytes, 23), -EFAULT,
		   "write: shared memory that the child may only read");
	tap__ok(area.shared[1] == 0, "write: which has not changed");
	tap__equal(memory__write(memory, (uintptr_t)area.unmapped, bytes, 23), -EFAULT,
		   "write: nothing is mapped");
	tap__equal(memory__write(memory, (uintptr_t)area.plain, bytes, 0), 0, "write: no bytes");
}

/* Many odd pieces, one after the other over pages of all protections. */
static void test_pieces(struct memory *memory)
{
	static struct iovec local[PIECES], remote[PIECES];
	static unsigned char bytes[PAGES * PAGE], back[PAGES * PAGE];
	uint64_t forced = 23, failed = 23;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 29 >> 3);
	for (size_t i = 0; i < PIECES; i++) {
		local[i] = (struct iovec){bytes + i * PIECE, PIECE};
		remote[i] = (struct iovec){area.protected + i * PIECE, PIECE};
	}
	tap__ok(PIECES > IOV_MAX && PIECES * PIECE <= sizeof(bytes), "more than one call can take");
	tap__equal(memory__write_pieces(memory, local, remote, PIECES, &forced, &failed), 0,
		   "pieces: all are written");
	tap__ok(memory__read(memory, (uintptr_t)area.protected, back, PIECES * PIECE) == 0 &&
			!memcmp(bytes, back, PIECES * PIECE),
		"pieces: each to its place");
	/* two of three pages do not allow it; pieces at the edges count wholly or in part */
	tap__ok(forced > 12 * PAGE && forced < 15 * PAGE && failed == 0,
		"pieces: what did not go without force: %" PRIu64 " bytes", forced);
	remote[1150].iov_base = area.unmapped;
	remote[1151].iov_base = area.read_only;
	remote[1152].iov_len = local[1152].iov_len = 0;
	remote[2300].iov_base = area.unmapped + 2 * PAGE - 1; /* over the edge of a page */
	memset(bytes, 23, sizeof(bytes));
	tap__equal(memory__write_pieces(memory, local, remote, PIECES, &forced, &failed), -EFAULT,
		   "pieces: three that cannot be written");
	tap__equal(failed, 3 * PIECE, "pieces: their bytes are counted");
	tap__ok(memory__read(memory, (uintptr_t)area.protected, back, PIECES * PIECE) == 0 &&
			!memcmp(bytes, back, 1150 * PIECE) &&
			!memcmp(bytes, back + 1153 * PIECE, 1147 * PIECE) &&
			back[1151 * PIECE] != 23,
		"pieces: all others are written");
	tap__ok(memory__write_pieces(memory, local, remote, 0, &forced, &failed) == 0 && !forced &&
			!failed,
		"pieces: none");
}

/* The pages of the area that hold data, as a bit mask. holds_data and data_pages must agree. */
static uint64_t find_data(struct memory *memory, const unsigned char *start)
{
	struct intervals pages = {0};
	uint64_t word = 0;
	int err;

	if (under_valgrind()) { /* which takes what PAGEMAP_SCAN returns for uninitialised */
		for (size_t i = 0; i < PAGES; i++)
			word |= (uint64_t)memory__holds_data(memory, (uintptr_t)start + i * PAGE)
				<< i;
		return word;
	}
	err = memory__data_pages(memory, (uintptr_t)start, (uintptr_t)start + PAGES * PAGE, &pages);
	for (size_t i = 0; i < PAGES; i++) {
		uint64_t address = (uintptr_t)start + i * PAGE;
		int holds = memory__holds_data(memory, address + i * 23);

		word |= (uint64_t)holds << i;
		err = err || holds != !!intervals__find(&pages, address);
	}
	if (err || intervals__bytes(&pages) != (uint64_t)__builtin_popcountll(word) * PAGE) {
		tap__note("memory__data_pages and memory__holds_data disagree");
		word = ~word;
	}
	intervals__clear(&pages);
	return word;
}

static void test_data(struct memory *memory)
{
	const uint64_t all = (1ULL << PAGES) - 1, third = 0x249249 & all;
	struct intervals pages = {0};

	tap__equal(find_data(memory, area.plain), third, "data: each third page is written");
	tap__equal(find_data(memory, area.protected), all, "data: pages without access hold data");
	tap__equal(find_data(memory, area.file), all, "data: a private file reads as the file");
	tap__ok(memory__holds_data(memory, (uintptr_t)area.unmapped),
		"data: what is not mapped cannot be found out");
	if (under_valgrind()) {
		tap__skip(2, "valgrind does not know what PAGEMAP_SCAN returns");
		return;
	}
	tap__ok(memory__data_pages(memory, (uintptr_t)area.plain + 2 * PAGE,
				   (uintptr_t)area.plain + 7 * PAGE, &pages) == 0 &&
			pages.count == 2 && intervals__bytes(&pages) == 2 * PAGE,
		"data: a part of a mapping");
	tap__ok(memory__data_pages(memory, (uintptr_t)area.plain, (uintptr_t)area.plain, &pages) ==
				0 &&
			intervals__bytes(&pages) == 2 * PAGE,
		"data: of nothing, nothing is added");
	intervals__clear(&pages);
}

/* Only we write to this shared memory, so the child's page tables do not show it. */
static void test_shared(struct memory *memory)
{
	if (geteuid() != 0) {
		tap__skip(4, "needs root: the holes of shared memory are found in map_files");
		return;
	}
	tap__equal(find_data(memory, area.shared), 0, "shared: nobody has touched it");
	area.shared[0] = 1;
	area.shared[7 * PAGE + 23] = 1;
	area.shared[PAGES * PAGE - 1] = 1;
	tap__equal(find_data(memory, area.shared), 0x400081, "shared: what another process wrote");
	tap__equal(memory__look_again(memory, false), 0, "shared: look again");
	tap__equal(find_data(memory, area.read_only), 0x400081,
		   "shared: the same memory at another place");
}

/* Knowledge about pages is kept until it is asked for anew. */
static void test_refresh(struct memory *memory)
{
	uint64_t address = (uintptr_t)area.plain + 22 * PAGE;

	tap__ok(!memory__holds_data(memory, address), "an untouched page");
	must(memory__write(memory, address, "x", 1));
	tap__ok(memory__look_again(memory, false) == 0 && memory__holds_data(memory, address),
		"after a write and a look");
	tap__ok(memory__look_again(memory, true) == 0 && memory__holds_data(memory, address) &&
			memory__mappings(memory)->count > 5,
		"with mappings read anew");
}

static void test_gone(struct memory *memory, pid_t child)
{
	struct memory *none = NULL;
	struct iovec piece = {area.plain, 23};
	uint64_t forced = 23, failed = 23, start = (uintptr_t)area.plain;
	size_t known = memory__mappings(memory)->count;
	unsigned char bytes[23] = {0};
	siginfo_t info;

	(void)kill(child, SIGKILL);
	(void)waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
	tap__equal(memory__read(memory, start, bytes, 23), -ESRCH, "a zombie: read");
	tap__equal(memory__refresh(memory), -ESRCH, "a zombie: refresh");
	(void)waitpid(child, NULL, 0);
	tap__equal(memory__read(memory, start, bytes, 23), -ESRCH, "gone: read");
	tap__equal(memory__write(memory, start, bytes, 23), -ESRCH, "gone: write");
	tap__ok(memory__write_pieces(memory, &piece, &piece, 1, &forced, &failed) == -ESRCH &&
			!forced && !failed,
		"gone: pieces; both counts are set");
	tap__equal(memory__refresh(memory), -ESRCH, "gone: refresh");
	tap__equal(memory__mappings(memory)->count, known, "gone: the old knowledge stays");
	(void)memory__look_again(memory, false);
	tap__ok(memory__holds_data(memory, start), "gone: what cannot be found out counts as true");
	tap__ok(memory__open(child, &none) == -ESRCH && !none, "gone: open");
}

int main(void)
{
	struct memory *memory = NULL;
	pid_t child;

	make_areas();
	child = start_child();
	tap__plan(50);
	tap__equal(memory__open(child, &memory), 0, "open");
	must(!memory);
	tap__equal(memory__mappings(memory)->count, 0, "no mappings before the first refresh");
	tap__equal(memory__refresh(memory), 0, "refresh");
	test_data(memory);
	test_shared(memory);
	test_refresh(memory);
	test_read(memory);
	test_write(memory);
	test_pieces(memory);
	test_gone(memory, child);
	memory__free(memory);
	memory__free(NULL);
	return tap__done();
}
