/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See pagemap.h.
 */
#include "pages/pagemap.h"

#include <errno.h>
#include <linux/ioctl.h>
#include <string.h>

#include "base/page.h"
#include "base/raw_syscall.h"

/* linux/fs.h of 6.7; older headers do not have it. */
struct scan_argument {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages, category_inverted,
		category_mask, category_anyof_mask, return_mask;
};
#define SCAN_IOCTL _IOWR('f', 16, struct scan_argument)

enum {
	SCAN_PROTECT = 1 << 0, /* PM_SCAN_WP_MATCHING */
	SCAN_CHECK = 1 << 1,   /* PM_SCAN_CHECK_WPASYNC */
	PROTECT_RUNS = 64,     /* 1.5 KiB on the stack of a handler */
};

#define HOLDS_DATA ((uint64_t)PAGEMAP_PRESENT | PAGEMAP_SWAPPED)

/* The entries of pagemap, 8 bytes for each page. */
#define ENTRY_PRESENT    (1ULL << 63)
#define ENTRY_SWAPPED    (1ULL << 62)
#define ENTRY_FILE       (1ULL << 61)
#define ENTRY_GUARD      (1ULL << 58) /* Linux 6.15 */
#define ENTRY_OWN        (1ULL << 56)
#define ENTRY_SOFT_DIRTY (1ULL << 55)

/* One call, from *start on. *start becomes where the kernel has stopped. Returns the number of
 * runs, or -errno. */
static int scan_once(int fd, struct scan_argument *argument, uint64_t *start)
{
	int count;

	argument->size = sizeof(*argument);
	argument->start = *start;
	do {
		count = (int)raw_syscall__call(SYS_ioctl, (uint64_t)fd, SCAN_IOCTL,
					       (uintptr_t)argument, 0);
	} while (count == -EINTR);
	if (count < 0)
		return count;
	if (argument->walk_end <= *start)
		return -ESRCH;
	*start = argument->walk_end;
	return count;
}

/* Guards hold no data, but look swapped out. */
static uint64_t no_data(const struct pagemap *p)
{
	return p->knows_guards ? PAGEMAP_GUARD : 0;
}

static int scan(struct pagemap *p)
{
	/* What is asked of one category by the mask is not asked by any_of. */
	const uint64_t excluded = p->any_of == HOLDS_DATA ? no_data(p) : 0;
	struct scan_argument argument = {
		.end = p->end,
		.vec = (uintptr_t)p->runs,
		.vec_len = p->room,
		.category_inverted = p->inverted | excluded,
		.category_mask = excluded | p->required,
		.category_anyof_mask = p->any_of,
		.return_mask = p->categories,
	};

	return scan_once(p->fd, &argument, &p->at);
}

/* Returns the number of bytes, or -errno. */
static long read_at(int fd, void *buffer, size_t bytes, uint64_t offset)
{
	long n;

	do {
		n = raw_syscall__call(SYS_pread64, (uint64_t)fd, (uintptr_t)buffer, bytes, offset);
	} while (n == -EINTR);
	return n;
}

static uint64_t categories_of(uint64_t entry)
{
	uint64_t categories = 0;

	if (entry & ENTRY_PRESENT)
		categories |= PAGEMAP_PRESENT;
	else if (entry & ENTRY_GUARD)
		return PAGEMAP_GUARD; /* a marker in the place of a swap entry */
	if (entry & ENTRY_SWAPPED)
		categories |= PAGEMAP_SWAPPED;
	if (entry & ENTRY_FILE)
		categories |= PAGEMAP_FILE;
	if (entry & ENTRY_OWN)
		categories |= PAGEMAP_OWN;
	if (entry & ENTRY_SOFT_DIRTY)
		categories |= PAGEMAP_SOFT_DIRTY;
	return categories;
}

/* Fills the runs as scan does, from the entries of the next pages. */
static int read_entries(struct pagemap *p)
{
	uint64_t pages = (p->end - p->at) / PAGE_BYTES;
	size_t count = 0;
	long n;

	if (pages > PAGEMAP_ENTRIES)
		pages = PAGEMAP_ENTRIES;
	n = read_at(p->fd, p->entries, pages * sizeof(uint64_t),
		    p->at / PAGE_BYTES * sizeof(uint64_t));
	if (n < 0)
		return (int)n;
	if (n == 0)
		return pagemap__check(p) ? -ESRCH : -EFAULT;
	pages = (uint64_t)n / sizeof(uint64_t);
	for (uint64_t i = 0; i < pages; i++, p->at += PAGE_BYTES) {
		struct pagemap_run *last = &p->runs[count > 0 ? count - 1 : 0];
		uint64_t categories = categories_of(p->entries[i]);

		if (p->any_of && !((categories ^ p->inverted) & p->any_of))
			continue;
		categories &= p->categories;
		if (count > 0 && last->end == p->at && last->categories == categories) {
			last->end += PAGE_BYTES;
			continue;
		}
		if (count == PAGEMAP_RUNS)
			break;
		p->runs[count++] = (struct pagemap_run){p->at, p->at + PAGE_BYTES, categories};
	}
	return (int)count;
}

void pagemap__init(struct pagemap *p, int fd)
{
	memset(p, 0, sizeof(*p));
	p->fd = fd;
	/* Nothing is mapped at page 0: the kernel only says whether it knows the call. */
	p->knows_guards = true;
	pagemap__begin(p, 0, PAGE_BYTES, 0);
	p->can_scan = scan(p) >= 0;
	if (!p->can_scan) {
		p->knows_guards = false;
		p->can_scan = scan(p) >= 0;
	}
}

void pagemap__begin(struct pagemap *p, uint64_t start, uint64_t end, uint64_t categories)
{
	pagemap__begin_any(p, start, end, 0, HOLDS_DATA, categories);
}

void pagemap__begin_any(struct pagemap *p, uint64_t start, uint64_t end, uint64_t inverted,
			uint64_t any_of, uint64_t categories)
{
	p->categories = categories | HOLDS_DATA;
	p->required = 0;
	p->room = PAGEMAP_RUNS;
	p->inverted = inverted;
	p->any_of = any_of;
	p->at = start;
	p->end = end;
	p->next = p->count = 0;
}

/* The kernel is fast if these are all questions (fs/proc/task_mmu.c, pagemap_scan_pmd_entry). */
void pagemap__begin_written(struct pagemap *p, uint64_t start, uint64_t end)
{
	pagemap__begin_any(p, start, end, 0, 0, 0);
	p->categories = p->required = PAGEMAP_WRITTEN;
}

int pagemap__next(struct pagemap *p, struct pagemap_run *ret_run)
{
	while (p->next == p->count) {
		int count;

		if (p->at >= p->end)
			return 0;
		/* Kernels that have both do not all report soft-dirty by the scan. */
		count = p->can_scan && !(p->categories & (PAGEMAP_SOFT_DIRTY | PAGEMAP_OWN))
				? scan(p)
				: read_entries(p);
		if (count < 0)
			return count;
		p->next = 0;
		p->count = (size_t)count;
	}
	*ret_run = p->runs[p->next++];
	return 1;
}

int pagemap__check(const struct pagemap *p)
{
	uint64_t entry;

	/* Once the last user of the address space is gone, the file is empty. */
	return read_at(p->fd, &entry, sizeof(entry), 0) == 0 ? -ESRCH : 0;
}

/* The kernel looks at the categories only if it is to return runs. */
static int protect(const struct pagemap *p, uint64_t start, uint64_t end, uint64_t flags)
{
	struct pagemap_run runs[PROTECT_RUNS];
	struct scan_argument argument = {
		.flags = flags,
		.end = end,
		.vec = (uintptr_t)runs,
		.vec_len = PROTECT_RUNS,
		.category_inverted = no_data(p),
		.category_mask = PAGEMAP_WRITTEN | no_data(p),
		.category_anyof_mask = HOLDS_DATA,
		.return_mask = PAGEMAP_WRITTEN,
	};
	int err = 0;

	while (start < end && err >= 0)
		err = scan_once(p->fd, &argument, &start);
	return err < 0 ? err : 0;
}

int pagemap__protect(const struct pagemap *p, uint64_t start, uint64_t end)
{
	return protect(p, start, end, SCAN_PROTECT | SCAN_CHECK);
}

int pagemap__protect_registered(const struct pagemap *p, uint64_t start, uint64_t end)
{
	return protect(p, start, end, SCAN_PROTECT);
}

int pagemap__protect_all(const struct pagemap *p, uint64_t start, uint64_t end)
{
	struct scan_argument argument = {
		.flags = SCAN_PROTECT | SCAN_CHECK,
		.end = end,
		.category_mask = PAGEMAP_WRITTEN,
	};
	int err = 0;

	while (start < end && err >= 0)
		err = scan_once(p->fd, &argument, &start);
	return err < 0 ? err : 0;
}

bool pagemap__has_clean(const struct pagemap *p, uint64_t start, uint64_t end)
{
	struct pagemap_run run;
	struct scan_argument argument = {
		.end = end,
		.vec = (uintptr_t)&run,
		.vec_len = 1,
		.max_pages = 1,
		.category_inverted = PAGEMAP_WRITTEN,
		.category_mask = PAGEMAP_WRITTEN,
		.category_anyof_mask = HOLDS_DATA,
	};
	int count = 0;

	while (start < end && count == 0)
		count = scan_once(p->fd, &argument, &start);
	return count != 0;
}
