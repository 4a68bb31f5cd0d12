/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The list of faults, and a child whose memory is armed, for the tests of fault_list. The child
 * arms it by itself, and does what it is told in each round. Without asynchronous write protection
 * (before Linux 6.7) its pages are not armed but new: the first write to each is listed.
 */
#ifndef UNIT_ARMED_CHILD_H
#define UNIT_ARMED_CHILD_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "child.h"
#include "kernel/fault_list.h"
#include "kernel/kernel_check.h"
#include "pages/pagemap.h"
#include "pages/write_protect.h"
#include "tap.h"
#include "valgrind.h"

enum { PAGES = 101, PAGE = 4096, BYTES = PAGES * PAGE, ATTEMPTS = 23 };

static struct shared { /* with the child */
	volatile __u64 ready, go, done;
	volatile __u64 threads_go, threads_done, writes;
	volatile __u64 failed; /* errno of what it could not do */
} * shared;

static unsigned char *memory; /* which each child has for itself */
static size_t memory_bytes = BYTES;
static bool can_arm;
static struct hooks *hooks;
static struct fault_list *list;
static uint64_t pages[FAULT_PAGES];
static size_t page_count;
static struct pagemap pagemap; /* of the child */
static pid_t child;

static inline unsigned char *page_at(int number)
{
	return memory + (size_t)number * PAGE;
}

/* ---- the child ---- */

struct role {
	void (*prepare)(void); /* before its memory is armed; NULL: nothing */
	void (*act)(void);     /* in each round */
};
static struct role role;

static inline void die_unless(bool condition)
{
	if (condition)
		return;
	shared->failed = (__u64)errno;
	_exit(1);
}

static inline void arm(void)
{
	static struct pagemap own;
	uint64_t start = (uintptr_t)memory, inode;
	int uffd = write_protect__open(&inode);

	die_unless(uffd >= 0);
	memset(memory, 23, memory_bytes);
	pagemap__init(&own, open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
	die_unless(write_protect__register(uffd, start, start + memory_bytes) == 0);
	die_unless(pagemap__protect(&own, start, start + memory_bytes) == 0);
}

static inline void play_role(void)
{
	if (role.prepare)
		role.prepare();
	if (can_arm)
		arm();
	shared->ready = 1;
	for (;;) {
		while (shared->done == shared->go)
			(void)usleep(1000);
		role.act();
		shared->done++;
	}
}

/* Waits until *value is at least so much, unless the child says why it cannot be. */
static inline void wait_for_child(const volatile __u64 *value, __u64 least)
{
	for (unsigned int i = 0; i < CHILD_LOOKS && *value < least && !shared->failed; i++)
		(void)usleep(1000);
	errno = (int)shared->failed;
	must(*value < least);
}

static inline void start_child(void (*prepare)(void), void (*act)(void))
{
	role = (struct role){prepare, act};
	memset(shared, 0, sizeof(*shared));
	child = child__start(play_role);
	wait_for_child(&shared->ready, 1);
	pagemap__init(&pagemap, procfs__open(child, "pagemap", O_RDONLY));
	must(pagemap.fd < 0);
	must(fault_list__attach(list, child));
}

static inline void end_child(void)
{
	fault_list__detach(list);
	(void)close(pagemap.fd);
	child__end(child);
}

/* ---- what is listed ---- */

static inline bool is_listed(uint64_t address)
{
	for (size_t i = 0; i < page_count; i++)
		if (pages[i] == address)
			return true;
	return false;
}

/* How many pages of [from, from + count) in memory are listed? */
static inline int count_listed(int from, int count)
{
	int listed = 0;

	for (int i = from; i < from + count; i++)
		listed += is_listed((uintptr_t)page_at(i));
	return listed;
}

/* Does the scan find nothing but what is_found knows? A page that was absent when the others were
 * armed looks written as soon as it is read; it is the page of zeros then. */
static inline bool is_whole(bool (*is_found)(uint64_t address))
{
	struct pagemap_run run;
	bool whole = true;

	pagemap__begin(&pagemap, (uintptr_t)memory, (uintptr_t)memory + memory_bytes,
		       PAGEMAP_WRITTEN | PAGEMAP_TRACKED | PAGEMAP_ZERO);
	while (pagemap__next(&pagemap, &run) == 1) {
		if (!(run.categories & PAGEMAP_WRITTEN) || run.categories & PAGEMAP_ZERO)
			continue;
		for (uint64_t at = run.start; at < run.end; at += PAGE)
			whole &= is_found(at);
	}
	return whole;
}

/* One round of the child, while another process does something, too (NULL: nothing). Returns what
 * fault_list__pages does. */
static inline int play_round(void (*meanwhile)(void))
{
	struct fault_mark mark, end;
	int err, status = 0;
	pid_t other;

	page_count = 0;
	fault_list__mark(list, &mark);
	if (meanwhile) {
		other = child__start(meanwhile);
		must(waitpid(other, &status, 0) != other || status != 0);
	}
	shared->go++;
	wait_for_child(&shared->done, shared->go);
	err = fault_list__pages(list, &mark, pages, &page_count, &end);
	if (err)
		tap__note("%s", strerror(-err));
	return err;
}

/* The first round. -ENODATA if a page is missing in the list. */
static inline int play(void (*meanwhile)(void))
{
	int err = play_round(meanwhile);

	return !err && can_arm && !is_whole(is_listed) ? -ENODATA : err;
}

static inline int play_once(void (*prepare)(void), void (*act)(void), void (*meanwhile)(void))
{
	int err;

	start_child(prepare, act);
	err = play(meanwhile);
	end_child();
	return err;
}

/* The same for what leaves no sign. A look at the child by somebody else, as ps(1) has, leaves one:
 * then another child tries again. */
static inline int play_without_sign(void (*prepare)(void), void (*act)(void),
				    void (*meanwhile)(void))
{
	int err = -ESTALE;

	for (int i = 0; i < ATTEMPTS && err == -ESTALE; i++)
		err = play_once(prepare, act, meanwhile);
	return err;
}

static inline void do_nothing(void)
{
}

/* ---- the list ---- */

static inline void *map_untouched(size_t bytes)
{
	void *untouched = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	must(untouched == MAP_FAILED || madvise(untouched, bytes, MADV_NOHUGEPAGE));
	return untouched;
}

/* Loads and attaches the hooks, and opens the list. Returns NULL, or why that cannot be here. */
static inline const char *open_list(void)
{
	const struct hook_settings settings = {.request_paths = {"/nowhere/a", "/nowhere/b"},
					       .completion_paths = {"/nowhere/c", "/nowhere/d"},
					       .slab_threshold = UINT64_MAX,
					       .ready_chunks = 23,
					       .list_faults = true};
	struct kernel_facts facts;
	uint64_t inode;
	int uffd;

	if (geteuid() != 0)
		return "loading BPF programs needs root";
	if (under_valgrind())
		return "valgrind knows no BPF";
	if (kernel_check__run(&facts))
		return "this kernel cannot do it";
	must(hooks__attach(&settings, &facts, &hooks));
	must(fault_list__open(hooks, &list));
	uffd = write_protect__open(&inode);
	can_arm = uffd >= 0;
	if (can_arm)
		(void)close(uffd);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	must(shared == MAP_FAILED);
	memory = map_untouched(BYTES);
	return NULL;
}

static inline void close_list(void)
{
	fault_list__close(list);
	hooks__free(hooks);
}

#endif
