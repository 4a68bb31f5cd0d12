/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See write_tracking.h.
 */
#include "pages/write_tracking.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/nocancel.h"
#include "base/page.h"
#include "pages/soft_dirty.h"
#include "pages/write_protect.h"

/* Is the page at address, which holds data, written? -1 if the kernel does not say. */
static int ask(const struct write_tracking *t, struct pagemap *p, uint64_t address)
{
	struct pagemap_run run;

	pagemap__begin(p, address, address + PAGE_BYTES, write_tracking__categories(t));
	return pagemap__next(p, &run) == 1 ? write_tracking__is_written(t, &run) : -1;
}

/* Does a page get clean when it is armed, and dirty when it is written? */
static bool works(const struct write_tracking *t, struct pagemap *p)
{
	volatile unsigned char *page =
		mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const uint64_t address = (uintptr_t)page;
	bool result = false;

	if (page == MAP_FAILED)
		return false;
	*page = 1;
	if (ask(t, p, address) != 1) /* no soft-dirty bits: the process need not be armed */
		goto out;
	if (write_tracking__begin_round(t) ||
	    write_tracking__arm(t, p, address, address + PAGE_BYTES))
		goto out;
	if (ask(t, p, address) != 0)
		goto out;
	*page = 2;
	result = ask(t, p, address) == 1;
out:
	(void)munmap((void *)page, PAGE_BYTES);
	return result;
}

void write_tracking__open(struct write_tracking *t, struct pagemap *p)
{
	*t = (struct write_tracking){.way = WRITE_TRACKING_PROTECT};
	t->uffd = write_protect__open(&t->inode);
	if (t->uffd >= 0 && works(t, p))
		return;
	write_tracking__close(t);
	t->way = WRITE_TRACKING_SOFT_DIRTY;
	if (!works(t, p))
		t->way = WRITE_TRACKING_NONE;
}

void write_tracking__close(struct write_tracking *t)
{
	if (write_tracking__has_uffd(t))
		(void)nocancel__close(t->uffd);
	t->uffd = -1;
	t->way = WRITE_TRACKING_NONE;
}

bool write_tracking__has_uffd(const struct write_tracking *t)
{
	return write_protect__is_open(t->uffd, t->inode);
}

bool write_tracking__let_go(struct write_tracking *t)
{
	const int uffd = __atomic_exchange_n(&t->uffd, -1, __ATOMIC_SEQ_CST);

	if (!write_protect__is_open(uffd, t->inode))
		return false;
	(void)nocancel__close(uffd);
	return true;
}

int write_tracking__begin_round(const struct write_tracking *t)
{
	if (t->way == WRITE_TRACKING_SOFT_DIRTY)
		return soft_dirty__clear();
	if (t->way == WRITE_TRACKING_PROTECT && !write_tracking__has_uffd(t))
		return -EBADF;
	return 0;
}

int write_tracking__arm(const struct write_tracking *t, const struct pagemap *p, uint64_t start,
			uint64_t end)
{
	int err;

	if (t->way != WRITE_TRACKING_PROTECT)
		return 0;
	err = write_protect__register(t->uffd, start, end);
	return err ? err : pagemap__protect(p, start, end);
}

uint64_t write_tracking__categories(const struct write_tracking *t)
{
	switch (t->way) {
	case WRITE_TRACKING_SOFT_DIRTY:
		return PAGEMAP_SOFT_DIRTY;
	case WRITE_TRACKING_PROTECT:
		return PAGEMAP_WRITTEN | PAGEMAP_TRACKED;
	default:
		return 0;
	}
}

bool write_tracking__is_written(const struct write_tracking *t, const struct pagemap_run *run)
{
	switch (t->way) {
	case WRITE_TRACKING_SOFT_DIRTY:
		return run->categories & PAGEMAP_SOFT_DIRTY;
	case WRITE_TRACKING_PROTECT:
		/* A mapping loses its registration when the kernel merges it with one that has
		 * none; its pages then look clean. */
		return (run->categories & PAGEMAP_WRITTEN) || !(run->categories & PAGEMAP_TRACKED);
	default:
		return true;
	}
}
