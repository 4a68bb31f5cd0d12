/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See dirty_pages.h. Shared memory is not armed, for others may write it, nor are mappings of
 * files: an untouched page of one reads as the file, which may change.
 */
#include "engine/dirty_pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/log.h"
#include "base/procfs.h"
#include "pages/pagemap.h"
#include "target/fault.h"
#include "target/inject.h"
#include "target/reason.h"

const char *dirty_pages__name(enum dirty_way way)
{
	static const char *const names[DIRTY_WAYS] = {[DIRTY_AUTO] = "auto",
						      [DIRTY_SCAN] = "scan",
						      [DIRTY_SOFT] = "soft",
						      [DIRTY_COMPARE] = "compare"};

	return names[way];
}

void dirty_pages__init(struct dirty_pages *dirty, enum dirty_way wish)
{
	*dirty = (struct dirty_pages){.wish = wish, .tracking = WRITE_TRACKING_OFF};
}

/* ---- the way ---- */

/* 0 if the kernel can do it, -EOPNOTSUPP or another -errno. */
static int try_way(enum write_tracking_way way)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), err = -ENOMEM;
	struct pagemap *own = malloc(sizeof(*own));

	if (fd < 0)
		err = -errno;
	if (fd < 0 || !own)
		goto out;
	pagemap__init(own, fd);
	err = write_tracking__works(way, own) ? 0 : -EOPNOTSUPP;
out:
	free(own);
	if (fd >= 0)
		close(fd);
	return err;
}

static int watch_protected(struct dirty_pages *dirty, pid_t pid)
{
	int err = try_way(WRITE_TRACKING_PROTECT), fd;

	if (err)
		return err;
	err = fault__pass("watch", pid);
	if (err)
		return err;
	fd = inject__userfaultfd(pid);
	if (fd < 0)
		return fd;
	return write_tracking__watch(&dirty->tracking, WRITE_TRACKING_PROTECT, fd, -1);
}

static int watch_soft_dirty(struct dirty_pages *dirty, pid_t pid)
{
	int err = try_way(WRITE_TRACKING_SOFT_DIRTY), fd;

	if (err)
		return err;
	fd = procfs__open(pid, "clear_refs", O_WRONLY);
	if (fd < 0)
		return fd;
	return write_tracking__watch(&dirty->tracking, WRITE_TRACKING_SOFT_DIRTY, -1, fd);
}

void dirty_pages__choose(struct dirty_pages *dirty, struct target *target)
{
	const bool any = dirty->wish == DIRTY_AUTO;
	int err = -EOPNOTSUPP;

	if (dirty->way != DIRTY_AUTO)
		return;
	dirty->way = DIRTY_COMPARE;
	if (dirty->wish == DIRTY_COMPARE)
		return;
	if (any || dirty->wish == DIRTY_SCAN) {
		err = watch_protected(dirty, target->pid);
		if (!err)
			dirty->way = DIRTY_SCAN;
	}
	if (err == -EOPNOTSUPP && (any || dirty->wish == DIRTY_SOFT)) {
		err = watch_soft_dirty(dirty, target->pid);
		if (!err)
			dirty->way = DIRTY_SOFT;
	}
	if (err && err != -ESRCH && any)
		log__info("writes of process %d are not tracked, all pages are compared: %s",
			  target->pid, reason__text(err));
	else if (err && err != -ESRCH)
		log__warn("writes of process %d cannot be tracked with --dirty %s, all pages are "
			  "compared: %s",
			  target->pid, dirty_pages__name(dirty->wish), reason__text(err));
}

/* ---- arming ---- */

static bool can_be_armed(const struct mapping *mapping)
{
	return !mapping->inode && !(mapping->flags & MAPPING_SHARED);
}

/* What cannot be armed is compared: it is no error. */
static int cover_range(struct dirty_pages *dirty, const struct pagemap *pagemap, uint64_t start,
		       uint64_t end)
{
	if (fault__strikes("register", "fail") ||
	    write_tracking__arm(&dirty->tracking, pagemap, start, end))
		return 0;
	return intervals__add(&dirty->armed, start, end);
}

static int cover_mappings(struct dirty_pages *dirty, struct memory *memory,
			  const struct interval *range)
{
	const struct mappings *mappings = memory__mappings(memory);
	int err = 0;

	for (size_t i = memory__first_mapping(memory, range->start);
	     i < mappings->count && mappings->items[i].start < range->end && !err; i++) {
		const struct mapping *mapping = &mappings->items[i];
		uint64_t start = mapping->start > range->start ? mapping->start : range->start;
		uint64_t end = mapping->end < range->end ? mapping->end : range->end;

		if (can_be_armed(mapping))
			err = cover_range(dirty, memory__pagemap(memory), start, end);
	}
	return err;
}

int dirty_pages__cover(struct dirty_pages *dirty, struct memory *memory,
		       const struct intervals *ranges)
{
	struct intervals armed = {0}, rest = {0};
	int err;

	if (!dirty_pages__is_tracking(dirty))
		return 0;
	err = intervals__intersect(&dirty->armed, ranges, &armed);
	if (err)
		return err;
	intervals__clear(&dirty->armed);
	dirty->armed = armed;
	err = intervals__subtract(ranges, &dirty->armed, &rest);
	for (size_t i = 0; i < rest.count && !err; i++)
		err = cover_mappings(dirty, memory, &rest.items[i]);
	intervals__clear(&rest);
	return err;
}

static int arm_range(struct dirty_pages *dirty, const struct pagemap *pagemap,
		     const struct interval *range)
{
	if (!write_tracking__rearm(&dirty->tracking, pagemap, range->start, range->end))
		return 0;
	return dirty_pages__drop(dirty, range->start, range->end);
}

int dirty_pages__arm(struct dirty_pages *dirty, struct memory *memory,
		     const struct intervals *pages)
{
	struct intervals due = {0};
	int err;

	if (!dirty_pages__is_tracking(dirty))
		return 0;
	if (dirty->way == DIRTY_SOFT) {
		err = write_tracking__begin_round(&dirty->tracking);
		if (err)
			intervals__clear(&dirty->armed);
		return err;
	}
	err = intervals__intersect(pages, &dirty->armed, &due);
	for (size_t i = 0; i < due.count && !err; i++)
		err = arm_range(dirty, memory__pagemap(memory), &due.items[i]);
	intervals__clear(&due);
	return err;
}

int dirty_pages__drop(struct dirty_pages *dirty, uint64_t start, uint64_t end)
{
	return intervals__remove(&dirty->armed, start, end);
}

/* ---- asking ---- */

static void clear_answer(struct dirty_pages *dirty)
{
	intervals__clear(&dirty->written);
	intervals__clear(&dirty->missing);
}

/* Adds the pages of an armed range that may differ to written, or to empty if they hold no data. */
static int look_at(struct dirty_pages *dirty, struct pagemap *pagemap, const struct interval *range,
		   struct intervals *empty)
{
	struct pagemap_run run;
	int more, err;

	write_tracking__begin(&dirty->tracking, pagemap, range->start, range->end);
	while ((more = write_tracking__next(&dirty->tracking, pagemap, &run)) > 0) {
		bool holds_data = run.categories & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED);

		err = intervals__add(holds_data ? &dirty->written : empty, run.start, run.end);
		if (err)
			return err;
	}
	return more;
}

int dirty_pages__ask(struct dirty_pages *dirty, struct memory *memory,
		     const struct intervals *saved, const struct intervals *known)
{
	struct intervals empty = {0}, rest = {0}, armed = {0}, compared = {0};
	int err;

	clear_answer(dirty);
	err = intervals__intersect(&dirty->armed, saved, &armed);
	if (err)
		goto out;
	err = intervals__subtract(saved, &armed, &rest);
	if (err)
		goto out;
	for (size_t i = 0; i < armed.count && !err; i++)
		err = look_at(dirty, memory__pagemap(memory), &armed.items[i], &empty);
	for (size_t i = 0; i < rest.count && !err; i++)
		err = memory__data_pages(memory, rest.items[i].start, rest.items[i].end,
					 &dirty->written);
	if (err)
		goto out;
	err = intervals__unite(&empty, &rest);
	if (err)
		goto out;
	err = intervals__intersect(known, &empty, &compared);
	if (err)
		goto out;
	err = intervals__subtract(&compared, &dirty->written, &dirty->missing);
out:
	intervals__clear(&empty);
	intervals__clear(&rest);
	intervals__clear(&armed);
	intervals__clear(&compared);
	if (err)
		clear_answer(dirty);
	return err;
}

void dirty_pages__forget(struct dirty_pages *dirty)
{
	write_tracking__close(&dirty->tracking);
	dirty->way = DIRTY_AUTO;
	intervals__clear(&dirty->armed);
	clear_answer(dirty);
}
