/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A child of a test that does to its memory what the test orders. All actions leave the memory
 * mapped at the same place.
 */
#ifndef UNIT_MEMORY_CHILD_H
#define UNIT_MEMORY_CHILD_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/page.h"
#include "child.h"
#include "tap.h"

/* Newer than some C libraries. */
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE  103
#endif

enum {
	HUGE_PAGES = 512, /* in a huge page */
	PAGES = 3 * HUGE_PAGES,
};

enum action {
	WRITE, /* some bytes of each page */
	READ,
	READ_IN,     /* by read(2) */
	READ_DIRECT, /* with O_DIRECT */
	DONTNEED,
	FREE,
	FREE_AND_RECLAIM,
	SWAP_OUT,         /* where there is swap */
	PROTECT_AND_BACK, /* read-only */
	MAP_ANEW,         /* unmapped and mapped again */
	MAP_OVER,
	MOVE_AND_BACK,
	MOVE_ONTO,
	FORK_WRITES,  /* in the child */
	FORK_WRITTEN, /* in the parent, while there is a child */
	GUARD,
	COLLAPSE, /* into huge pages */
	FILL_HUGE,
	CHILD_ACTIONS,
	/* what the test does to it */
	VM_WRITE = CHILD_ACTIONS,
	MEM_WRITE,
	ACTIONS,
};

static const char *const names[ACTIONS] = {
	"written",
	"read",
	"read into by read(2)",
	"read into with O_DIRECT",
	"given back (MADV_DONTNEED)",
	"MADV_FREE",
	"MADV_FREE and reclaimed",
	"swapped out",
	"read-only, and back, and written",
	"unmapped and mapped again",
	"mapped over",
	"moved away and back",
	"another mapping moved onto them",
	"written by a child of it",
	"written while it has a child",
	"guards, installed and removed",
	"collapsed to huge pages",
	"filled as huge pages",
	"process_vm_writev",
	"/proc/PID/mem",
};

static struct shared { /* with the child */
	volatile __u64 asked, done, racing;
	volatile enum action action;
	volatile size_t page, count;
	volatile int failed; /* errno */
} * shared;
static unsigned char *area; /* where the child has its memory; the test has nothing there */

static uint64_t address_of(size_t page)
{
	return (uintptr_t)area + page * PAGE_BYTES;
}

static void *map(size_t page, size_t count)
{
	return mmap(area + page * PAGE_BYTES, count * PAGE_BYTES, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void write_pages(size_t page, size_t count)
{
	static size_t value;

	for (size_t i = page; i < page + count; i++) {
		value++;
		((volatile unsigned char *)area)[i * PAGE_BYTES + value * 23 % PAGE_BYTES] =
			(unsigned char)value;
	}
}

static void read_pages(size_t page, size_t count)
{
	for (size_t i = page; i < page + count; i++)
		(void)((volatile unsigned char *)area)[i * PAGE_BYTES];
}

static void read_in(size_t page, size_t count)
{
	static unsigned char bytes[PAGE_BYTES];
	int ends[2];

	if (pipe(ends))
		return;
	for (size_t i = page; i < page + count; i++) {
		bytes[0]++;
		if (write(ends[1], bytes, sizeof(bytes)) != sizeof(bytes) ||
		    read(ends[0], area + i * PAGE_BYTES, sizeof(bytes)) != sizeof(bytes))
			break;
	}
	(void)close(ends[0]);
	(void)close(ends[1]);
}

static int read_direct(size_t page, size_t count)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_DIRECT | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : pread(fd, area + page * PAGE_BYTES, count * PAGE_BYTES, 0);

	if (fd >= 0)
		(void)close(fd);
	return n < 0 ? -1 : 0;
}

static int advise(size_t page, size_t count, int advice)
{
	return madvise(area + page * PAGE_BYTES, count * PAGE_BYTES, advice);
}

static int move(void *from, void *to)
{
	return mremap(from, PAGE_BYTES, PAGE_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to ? 0
											     : -1;
}

/* Page by page, for they may lie in several mappings. */
static int move_and_back(size_t page, size_t count)
{
	unsigned char *spare =
		mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int err = 0;

	for (size_t i = page; i < page + count && !err; i++) {
		err = move(area + i * PAGE_BYTES, spare);
		spare[7]++;
		err = err || move(spare, area + i * PAGE_BYTES);
	}
	return err;
}

static int move_onto(size_t page, size_t count)
{
	int err = 0;

	for (size_t i = page; i < page + count && !err; i++) {
		unsigned char *other = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
					    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (i % 2)
			other[7] = (unsigned char)i;
		err = move(other, area + i * PAGE_BYTES);
	}
	return err;
}

static int fork_and_write(size_t page, size_t count, bool parent)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (parent)
			(void)raise(SIGSTOP);
		write_pages(page, count);
		_exit(0);
	}
	if (parent) {
		write_pages(page, count);
		(void)kill(pid, SIGKILL);
	}
	return pid > 0 && waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

static int protect_and_back(size_t page, size_t count)
{
	int err = mprotect(area + page * PAGE_BYTES, count * PAGE_BYTES, PROT_READ);

	err = err || mprotect(area + page * PAGE_BYTES, count * PAGE_BYTES, PROT_READ | PROT_WRITE);
	write_pages(page, count / 2);
	return err;
}

/* As huge pages, if there are any. */
static int fill_huge(size_t page, size_t count)
{
	page -= page % HUGE_PAGES;
	count = HUGE_PAGES;
	if (map(page, count) == MAP_FAILED || advise(page, count, MADV_HUGEPAGE))
		return -1;
	write_pages(page, 1);
	return advise(page, count, MADV_NOHUGEPAGE);
}

static int act(enum action action, size_t page, size_t count)
{
	unsigned char *start = area + page * PAGE_BYTES;

	switch (action) {
	case WRITE:
		write_pages(page, count);
		return 0;
	case READ:
		read_pages(page, count);
		return 0;
	case READ_IN:
		read_in(page, count);
		return 0;
	case READ_DIRECT:
		return read_direct(page, count);
	case DONTNEED:
		return advise(page, count, MADV_DONTNEED);
	case FREE:
		return advise(page, count, MADV_FREE);
	case FREE_AND_RECLAIM:
		return advise(page, count, MADV_FREE) || advise(page, count, MADV_PAGEOUT);
	case SWAP_OUT:
		return advise(page, count, MADV_PAGEOUT);
	case PROTECT_AND_BACK:
		return protect_and_back(page, count);
	case MAP_ANEW:
		return munmap(start, count * PAGE_BYTES) || map(page, count) == MAP_FAILED;
	case MAP_OVER:
		return map(page, count) == MAP_FAILED;
	case MOVE_AND_BACK:
		return move_and_back(page, count);
	case MOVE_ONTO:
		return move_onto(page, count);
	case FORK_WRITES:
		return fork_and_write(page, count, false);
	case FORK_WRITTEN:
		return fork_and_write(page, count, true);
	case GUARD:
		return advise(page, count, MADV_GUARD_INSTALL) ||
		       advise(page, count, MADV_GUARD_REMOVE);
	case COLLAPSE:
		return advise(page - page % HUGE_PAGES, HUGE_PAGES, MADV_COLLAPSE);
	case FILL_HUGE:
		return fill_huge(page, count);
	default:
		return -1;
	}
}

static void obey(void)
{
	must(map(0, PAGES) == MAP_FAILED);
	must(advise(0, PAGES, MADV_NOHUGEPAGE));
	for (__u64 done = 0; !shared->racing; shared->done = ++done) {
		while (shared->asked == done)
			(void)sched_yield();
		errno = 0;
		shared->failed = act(shared->action, shared->page, shared->count) ? errno : 0;
	}
	/* Writes that never pause, each to a page and a place of its own. */
	for (uint64_t i = 0;; i++)
		((volatile uint64_t *)area)[(i * 7919 % PAGES) * PAGE_BYTES / 8 + i % 509] = i;
}

#endif
