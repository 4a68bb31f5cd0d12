/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A memory_child.h whose writes are tracked from outside, and what its memory was when it was
 * armed.
 */
#ifndef UNIT_WATCHED_CHILD_H
#define UNIT_WATCHED_CHILD_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/page.h"
#include "base/procfs.h"
#include "memory_child.h"
#include "pages/pagemap.h"
#include "pages/write_tracking.h"
#include "random.h"
#include "tap.h"
#include "target/inject.h"

enum { SOME = 23 }; /* pages */

static enum write_tracking_way way; /* that is tested */

static struct target {
	pid_t pid;
	int memory;
	struct pagemap pagemap;
	struct write_tracking tracking;
} target;

/* What was seen when the pages were armed, and whether they may have changed since. */
static unsigned char model[PAGES][PAGE_BYTES];
static bool dirty[PAGES];

/* ---- what the test does ---- */

static int write_from_outside(enum action action, size_t page, size_t count)
{
	static unsigned char bytes[SOME * PAGE_BYTES];
	struct iovec local = {bytes, count * PAGE_BYTES};
	struct iovec remote = {area + page * PAGE_BYTES, count * PAGE_BYTES};

	memset(bytes, (int)random__below(256), sizeof(bytes));
	if (action == VM_WRITE)
		return process_vm_writev(target.pid, &local, 1, &remote, 1, 0) < 0;
	return pwrite(target.memory, bytes, count * PAGE_BYTES, (off_t)address_of(page)) < 0;
}

/* Returns 0, or the errno of what cannot be done here. */
static int order(enum action action, size_t page, size_t count)
{
	if (action >= CHILD_ACTIONS)
		return write_from_outside(action, page, count) ? errno : 0;
	shared->action = action;
	shared->page = page;
	shared->count = count;
	shared->asked++;
	for (unsigned int i = 0; i < CHILD_LOOKS && shared->done < shared->asked; i++) {
		must(child__state(target.pid) == 'Z');
		(void)sched_yield();
	}
	must(shared->done < shared->asked);
	return shared->failed;
}

static void start_child(void)
{
	area = mmap(NULL, (PAGES + 2UL * HUGE_PAGES) * PAGE_BYTES, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(area == MAP_FAILED);
	area += HUGE_PAGES * PAGE_BYTES - (uintptr_t)area % (HUGE_PAGES * PAGE_BYTES);
	memset(shared, 0, sizeof(*shared));
	target.pid = child__start(obey);
	must(target.pid < 0);
}

static void open_target(void)
{
	int fd, uffd = -1, clear_refs = -1;

	start_child();
	(void)order(WRITE, 0, PAGES - SOME); /* the last ones are never touched */
	fd = procfs__open(target.pid, "pagemap", O_RDONLY);
	target.memory = procfs__open(target.pid, "mem", O_RDWR);
	must(fd < 0 || target.memory < 0);
	pagemap__init(&target.pagemap, fd);
	if (way == WRITE_TRACKING_PROTECT)
		uffd = inject__userfaultfd(target.pid);
	if (way == WRITE_TRACKING_SOFT_DIRTY)
		clear_refs = procfs__open(target.pid, "clear_refs", O_WRONLY);
	must(write_tracking__watch(&target.tracking, way, uffd, clear_refs));
}

static void close_target(void)
{
	write_tracking__close(&target.tracking);
	child__end(target.pid);
	(void)close(target.pagemap.fd);
	(void)close(target.memory);
}

/* Reads a page without touching it: those that hold no data are zeros. Could it be read? */
static bool read_page(size_t page, unsigned char bytes[PAGE_BYTES])
{
	struct pagemap_run run;

	pagemap__begin(&target.pagemap, address_of(page), address_of(page + 1), 0);
	if (pagemap__next(&target.pagemap, &run) == 0) {
		memset(bytes, 0, PAGE_BYTES);
		return true;
	}
	return pread(target.memory, bytes, PAGE_BYTES, (off_t)address_of(page)) ==
	       (ssize_t)PAGE_BYTES;
}

/* Arms what can be armed, and remembers it. */
static void arm(void)
{
	const struct write_tracking *t = &target.tracking;

	must(write_tracking__begin_round(t));
	(void)write_tracking__arm(t, &target.pagemap, address_of(0), address_of(PAGES));
	for (size_t i = 0; i < PAGES; i++)
		(void)read_page(i, model[i]);
}

/* How many pages differ, and are not among those that may have changed. */
static unsigned int count_missed(void)
{
	static unsigned char bytes[PAGE_BYTES];
	unsigned int missed = 0;

	for (size_t i = 0; i < PAGES; i++) {
		if (dirty[i] || !read_page(i, bytes) || !memcmp(bytes, model[i], PAGE_BYTES))
			continue;
		if (!missed++)
			tap__note("page %zu has changed", i);
	}
	return missed;
}

/* Does this kernel have that way? */
static bool has_way(enum write_tracking_way wanted)
{
	struct pagemap *own = malloc(sizeof(*own));
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	bool result;

	must(!own || fd < 0);
	pagemap__init(own, fd);
	result = write_tracking__works(wanted, own);
	(void)close(fd);
	free(own);
	return result;
}

#endif
