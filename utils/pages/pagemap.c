/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See pagemap.h. PAGEMAP_SCAN (Linux 6.7) walks the page tables and skips what is not there; before
 * it, eight bytes are read for each page that is mapped.
 */
#include "pages/pagemap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ioctl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/nocancel.h"
#include "base/page.h"

/* linux/fs.h of 6.7; older headers do not have it. */
struct scan_argument {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages, category_inverted,
		category_mask, category_anyof_mask, return_mask;
};
#define SCAN_IOCTL _IOWR('f', 16, struct scan_argument)

enum {
	FLAG_PROTECT = 1 << 0,
	FLAG_CHECK = 1 << 1,
	SCAN_WRITE_TRACKED = 1 << 0, /* PAGE_IS_WPALLOWED: its mapping is registered for it */
	SCAN_WRITTEN = 1 << 1,
	SCAN_PRESENT = 1 << 3,
	SCAN_SWAPPED = 1 << 4,
	SCAN_GUARD = 1 << 8, /* PAGE_IS_GUARD of 6.15 */
};

#define ENTRY_PRESENT    (1ULL << 63)
#define ENTRY_SWAPPED    (1ULL << 62)
#define ENTRY_SOFT_DIRTY (1ULL << 55)
#define ENTRY_GUARD      (1ULL << 58) /* of 6.15 */

/* One PAGEMAP_SCAN from p->at on; the count of regions, or -errno. */
static int scan(struct pagemap *p)
{
	struct scan_argument argument = {
		.size = sizeof(argument),
		.start = p->at,
		.end = p->end,
		.vec = (uintptr_t)p->regions,
		.vec_len = PAGEMAP_REGIONS,
		.category_inverted = p->knows_guards ? SCAN_GUARD : 0,
		.category_mask = p->knows_guards ? SCAN_GUARD : 0,
		.category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
		.return_mask =
			SCAN_PRESENT |
			(p->tracking == PAGEMAP_UFFD ? SCAN_WRITTEN | SCAN_WRITE_TRACKED : 0),
	};
	int n;

	do {
		n = ioctl(p->fd, SCAN_IOCTL, &argument);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	p->at = n == PAGEMAP_REGIONS ? p->regions[n - 1].end : p->end;
	if (argument.walk_end > p->at && argument.walk_end < p->end)
		p->at = argument.walk_end;
	return n;
}

/* The same from the entries of pagemap. */
static int read_entries(struct pagemap *p)
{
	uint64_t pages = (p->end - p->at) / PAGE_BYTES;
	size_t count = 0;
	ssize_t n;

	if (pages > PAGEMAP_ENTRIES)
		pages = PAGEMAP_ENTRIES;
	n = nocancel__read_at(p->fd, p->entries, pages * sizeof(uint64_t),
			      (off_t)(p->at / PAGE_BYTES * sizeof(uint64_t)));
	if (n <= 0)
		return n < 0 ? -errno : -EIO;
	pages = (uint64_t)n / sizeof(uint64_t);
	for (uint64_t i = 0; i < pages; i++, p->at += PAGE_BYTES) {
		struct pagemap_region *last = &p->regions[count > 0 ? count - 1 : 0];
		uint64_t entry = p->entries[i];
		uint64_t categories = (entry & ENTRY_SOFT_DIRTY ? SCAN_WRITTEN : 0) |
				      (entry & ENTRY_PRESENT ? SCAN_PRESENT : 0);

		if (!(entry & (ENTRY_PRESENT | ENTRY_SWAPPED)) || (entry & ENTRY_GUARD))
			continue;
		if (count > 0 && last->end == p->at && last->categories == categories) {
			last->end += PAGE_BYTES;
			continue;
		}
		if (count == PAGEMAP_REGIONS)
			break;
		p->regions[count++] =
			(struct pagemap_region){p->at, p->at + PAGE_BYTES, categories};
	}
	return (int)count;
}

int pagemap__open(struct pagemap *p, enum pagemap_tracking tracking)
{
	memset(p, 0, offsetof(struct pagemap, regions));
	p->tracking = tracking;
	p->fd = nocancel__open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC, 0);
	if (p->fd < 0)
		return -errno;
	/* Nothing is at the first page; the kernel only says whether it knows the call. */
	p->end = PAGE_BYTES;
	p->knows_guards = 1;
	p->can_scan = scan(p) >= 0;
	if (!p->can_scan) {
		p->knows_guards = 0;
		p->can_scan = scan(p) >= 0;
	}
	return 0;
}

void pagemap__close(struct pagemap *p)
{
	if (p->fd >= 0)
		(void)nocancel__close(p->fd);
	p->fd = -1;
}

void pagemap__begin(struct pagemap *p, uint64_t start, uint64_t end)
{
	p->at = start;
	p->end = end;
	p->next = p->count = 0;
}

/* A mapping that the kernel has made one with another that is not registered is no longer: then its
 * pages may look as if they were not written. */
static int was_written(const struct pagemap *p, uint64_t categories)
{
	return p->tracking == PAGEMAP_NONE || (categories & SCAN_WRITTEN) ||
	       (p->tracking == PAGEMAP_UFFD && !(categories & SCAN_WRITE_TRACKED));
}

int pagemap__next(struct pagemap *p, struct pagemap_run *ret)
{
	const struct pagemap_region *region;

	while (p->next == p->count) {
		int n;

		if (p->at >= p->end)
			return 0;
		/* The scan does not know soft-dirty on every kernel that has both. */
		n = p->can_scan && p->tracking != PAGEMAP_SOFT_DIRTY ? scan(p) : read_entries(p);
		if (n < 0)
			return n;
		p->next = 0;
		p->count = (size_t)n;
	}
	region = &p->regions[p->next++];
	ret->start = region->start;
	ret->end = region->end;
	ret->written = was_written(p, region->categories);
	ret->present = (region->categories & SCAN_PRESENT) != 0;
	return 1;
}

int pagemap__protect(struct pagemap *p, uint64_t start, uint64_t end)
{
	struct scan_argument argument = {
		.size = sizeof(argument),
		.flags = FLAG_PROTECT | FLAG_CHECK,
		.start = start,
		.end = end,
		.category_mask = SCAN_WRITTEN,
		.return_mask = SCAN_WRITTEN,
	};

	while (ioctl(p->fd, SCAN_IOCTL, &argument) < 0) {
		if (errno != EINTR)
			return -errno;
		argument.start =
			argument.walk_end > argument.start ? argument.walk_end : argument.start;
	}
	return 0;
}
