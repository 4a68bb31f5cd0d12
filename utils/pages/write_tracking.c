/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See write_tracking.h.
 */
#include "pages/write_tracking.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/page.h"
#include "base/raw_syscall.h"
#include "pages/soft_dirty.h"
#include "pages/write_protect.h"

static void close_fd(int fd)
{
	(void)raw_syscall__call(SYS_close, (uint64_t)fd, 0, 0, 0);
}

/* Is the page at address, which holds data, written? -1 if the kernel does not say. */
static int ask(const struct write_tracking *t, struct pagemap *p, uint64_t address)
{
	struct pagemap_run run;

	pagemap__begin(p, address, address + PAGE_BYTES, write_tracking__categories(t));
	return pagemap__next(p, &run) == 1 ? write_tracking__is_written(t, &run) : -1;
}

/* Armed, is it clean, and written, dirty? */
static bool round_trip(const struct write_tracking *t, struct pagemap *p,
		       volatile unsigned char *page)
{
	const uint64_t address = (uintptr_t)page;

	if (write_tracking__begin_round(t) ||
	    write_tracking__arm(t, p, address, address + PAGE_BYTES) || ask(t, p, address) != 0)
		return false;
	*page = 2;
	return ask(t, p, address) == 1;
}

/* Before Linux 6.13, a page that mremap(2) has moved keeps its protection, though its mapping loses
 * the registration. Armed again it looked clean for ever (CVE-2025-21696). */
static bool works(const struct write_tracking *t, struct pagemap *p)
{
	const long mapped = raw_syscall__call6(SYS_mmap, 0, 2 * PAGE_BYTES, PROT_READ | PROT_WRITE,
					       MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1, 0);
	unsigned char *pages = mapped > 0 ? (unsigned char *)mapped : NULL;
	bool result = false;

	if (!pages)
		return false;
	*pages = 1;
	if (ask(t, p, (uintptr_t)pages) != 1) /* no soft-dirty bits: nothing need be armed */
		goto out;
	if (!round_trip(t, p, pages) ||
	    write_tracking__rearm(t, p, (uintptr_t)pages, (uintptr_t)pages + PAGE_BYTES))
		goto out;
	if (raw_syscall__call6(SYS_mremap, (uint64_t)mapped, PAGE_BYTES, PAGE_BYTES,
			       MREMAP_MAYMOVE | MREMAP_FIXED, (uint64_t)mapped + PAGE_BYTES, 0) < 0)
		goto out;
	pages[PAGE_BYTES] = 2;
	result = round_trip(t, p, pages + PAGE_BYTES);
out:
	(void)raw_syscall__call(SYS_munmap, (uint64_t)mapped, 2 * PAGE_BYTES, 0, 0);
	return result;
}

/* A way for the calling process; it need not work. */
static void choose(struct write_tracking *t, enum write_tracking_way way)
{
	*t = (struct write_tracking)WRITE_TRACKING_OFF;
	t->way = way;
	if (way == WRITE_TRACKING_PROTECT)
		t->uffd = write_protect__open(&t->inode);
}

bool write_tracking__works(enum write_tracking_way way, struct pagemap *own)
{
	struct write_tracking tracking;
	bool result;

	choose(&tracking, way);
	result = way == WRITE_TRACKING_NONE || works(&tracking, own);
	write_tracking__close(&tracking);
	return result;
}

void write_tracking__open_way(struct write_tracking *t, enum write_tracking_way way,
			      struct pagemap *own)
{
	choose(t, way);
	if (way != WRITE_TRACKING_NONE && !works(t, own))
		write_tracking__close(t);
}

void write_tracking__open(struct write_tracking *t, struct pagemap *own)
{
	write_tracking__open_way(t, WRITE_TRACKING_PROTECT, own);
	if (t->way == WRITE_TRACKING_NONE)
		write_tracking__open_way(t, WRITE_TRACKING_SOFT_DIRTY, own);
}

int write_tracking__watch(struct write_tracking *t, enum write_tracking_way way, int uffd,
			  int clear_refs)
{
	int err = 0;

	*t = (struct write_tracking){.way = way, .uffd = uffd, .clear_refs = clear_refs};
	if (way == WRITE_TRACKING_PROTECT)
		err = write_protect__prepare(uffd, &t->inode);
	if (!err)
		return 0;
	close_fd(uffd);
	t->uffd = -1;
	write_tracking__close(t);
	return err;
}

void write_tracking__close(struct write_tracking *t)
{
	if (write_tracking__has_uffd(t))
		close_fd(t->uffd);
	if (t->clear_refs >= 0)
		close_fd(t->clear_refs);
	t->uffd = t->clear_refs = -1;
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
	close_fd(uffd);
	return true;
}

int write_tracking__begin_round(const struct write_tracking *t)
{
	if (t->way == WRITE_TRACKING_SOFT_DIRTY)
		return soft_dirty__clear(t->clear_refs);
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
	if (err)
		return err;
	/* To take protection away costs as much as to set it. */
	if (pagemap__has_clean(p, start, end))
		err = write_protect__release(t->uffd, start, end);
	return err ? err : pagemap__protect(p, start, end);
}

int write_tracking__rearm(const struct write_tracking *t, const struct pagemap *p, uint64_t start,
			  uint64_t end)
{
	return t->way == WRITE_TRACKING_PROTECT ? pagemap__protect(p, start, end) : 0;
}

int write_tracking__rearm_across(const struct write_tracking *t, const struct pagemap *p,
				 uint64_t start, uint64_t end)
{
	return t->way == WRITE_TRACKING_PROTECT ? pagemap__protect_registered(p, start, end) : 0;
}

/*
 * A page may have changed if it has one of any_of, or lacks one that is inverted. So the kernel
 * returns few runs; write_tracking__is_written says the rest.
 */
void write_tracking__begin(const struct write_tracking *t, struct pagemap *p, uint64_t start,
			   uint64_t end)
{
	write_tracking__begin_with(t, p, start, end, 0);
}

void write_tracking__begin_with(const struct write_tracking *t, struct pagemap *p, uint64_t start,
				uint64_t end, uint64_t more)
{
	uint64_t any_of = 0, inverted = 0;

	switch (t->way) {
	case WRITE_TRACKING_PROTECT:
		inverted = PAGEMAP_TRACKED | PAGEMAP_PRESENT;
		any_of = PAGEMAP_WRITTEN | inverted;
		break;
	case WRITE_TRACKING_SOFT_DIRTY:
		inverted = PAGEMAP_OWN;
		any_of = PAGEMAP_SOFT_DIRTY | inverted;
		break;
	default:
		break;
	}
	if (any_of)
		any_of |= more;
	pagemap__begin_any(p, start, end, inverted, any_of, write_tracking__categories(t) | more);
}

int write_tracking__next(const struct write_tracking *t, struct pagemap *p,
			 struct pagemap_run *ret_run)
{
	struct pagemap_run run;
	int more;

	while ((more = pagemap__next(p, &run)) > 0) {
		if (!write_tracking__is_written(t, &run))
			continue;
		*ret_run = run;
		return 1;
	}
	return more < 0 ? more : pagemap__check(p);
}

uint64_t write_tracking__categories(const struct write_tracking *t)
{
	switch (t->way) {
	case WRITE_TRACKING_SOFT_DIRTY:
		return PAGEMAP_SOFT_DIRTY | PAGEMAP_OWN;
	case WRITE_TRACKING_PROTECT:
		return PAGEMAP_WRITTEN | PAGEMAP_TRACKED;
	default:
		return 0;
	}
}

bool write_tracking__is_written(const struct write_tracking *t, const struct pagemap_run *run)
{
	const uint64_t has = run->categories;

	if (!(has & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED)))
		return true;
	switch (t->way) {
	case WRITE_TRACKING_SOFT_DIRTY:
		/* The page of zeros is clean, and may be there in place of another one. */
		return (has & PAGEMAP_SOFT_DIRTY) ||
		       ((has & PAGEMAP_PRESENT) && !(has & PAGEMAP_OWN));
	case WRITE_TRACKING_PROTECT:
		/* A mapping loses its registration when it is moved, or made anew; its pages then
		 * look clean. */
		return (has & PAGEMAP_WRITTEN) || !(has & PAGEMAP_TRACKED);
	default:
		return true;
	}
}
