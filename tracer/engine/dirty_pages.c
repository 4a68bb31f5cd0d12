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
#include "base/page.h"
#include "base/procfs.h"
#include "pages/pagemap.h"
#include "target/fault_injection.h"
#include "target/inject.h"
#include "target/reason.h"

/* With fewer pages a scan takes less than 10 us, and the list of faults costs other processes. */
enum { LISTED_PAGES = 4096 };

/* To read an entry of the list takes as long as to scan so many pages. */
enum { ENTRY_PAGES = 4 };

/* Ranges that are no further apart are looked at, or armed, by one call. */
enum { CLOSE_BYTES = 1 << 20 };

void dirty_pages__init(struct dirty_pages *dirty, enum dirty_way wish, const struct hooks *hooks)
{
	*dirty = (struct dirty_pages){.wish = wish, .hooks = hooks, .tracking = WRITE_TRACKING_OFF};
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
	err = fault_injection__pass("watch", pid);
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

/* The list of faults beside what watch_protected has begun. */
static int watch_faults(struct dirty_pages *dirty, pid_t pid)
{
	int err = 0;

	if (!dirty->pages)
		dirty->pages = malloc(FAULT_PAGES * sizeof(*dirty->pages));
	if (!dirty->pages)
		return -ENOMEM;
	if (!dirty->list)
		err = fault_list__open(dirty->hooks, &dirty->list);
	return err ? err : fault_list__attach(dirty->list, pid);
}

/* 0, or why the way that was wished for is not to be had. */
static int choose(struct dirty_pages *dirty, pid_t pid, uint64_t pages)
{
	const bool any = dirty->wish == DIRTY_AUTO;
	int err = -EOPNOTSUPP;

	if (dirty->wish != DIRTY_SOFT)
		err = watch_protected(dirty, pid);
	if (err == -EOPNOTSUPP && (any || dirty->wish == DIRTY_SOFT)) {
		err = watch_soft_dirty(dirty, pid);
		if (err)
			return err;
		dirty->way = DIRTY_SOFT;
		return 0;
	}
	if (err)
		return err;
	dirty->way = DIRTY_SCAN;
	if (dirty->wish == DIRTY_FAULTS || (any && pages >= LISTED_PAGES)) {
		err = watch_faults(dirty, pid);
		if (err)
			return any ? 0 : err;
		dirty->way = DIRTY_FAULTS;
	}
	return 0;
}

void dirty_pages__choose(struct dirty_pages *dirty, struct target *target, uint64_t pages)
{
	int err;

	if (dirty->way != DIRTY_AUTO)
		return;
	dirty->way = DIRTY_COMPARE;
	if (dirty->wish == DIRTY_COMPARE)
		return;
	err = choose(dirty, target->pid, pages);
	if (!err || err == -ESRCH)
		return;
	if (dirty->wish == DIRTY_AUTO)
		log__info("writes of process %d are not tracked, all pages are compared: %s",
			  target->pid, reason__text(err));
	else
		log__warn("writes of process %d cannot be tracked with --dirty %s, %s: %s",
			  target->pid, dirty_way__name(dirty->wish),
			  dirty->way == DIRTY_SCAN ? "memory is scanned" : "all pages are compared",
			  reason__text(err));
}

/* ---- arming ---- */

static bool can_be_armed(const struct mapping *mapping)
{
	return !mapping->inode && !(mapping->flags & MAPPING_SHARED);
}

static int register_range(struct dirty_pages *dirty, const struct pagemap *pagemap, uint64_t start,
			  uint64_t end)
{
	if (fault_injection__strikes("register", "fail"))
		return -EINVAL;
	return write_tracking__arm(&dirty->tracking, pagemap, start, end);
}

/* The part of a mapping that lies in a range. */
static struct interval part_of(const struct mapping *mapping, const struct interval *range)
{
	return (struct interval){
		.start = mapping->start > range->start ? mapping->start : range->start,
		.end = mapping->end < range->end ? mapping->end : range->end,
	};
}

/* Mappings that can be armed, with nothing else mapped between them. The kernel takes them all at
 * once, unless one is refused. That one is compared: it is no error. */
static int cover_span(struct dirty_pages *dirty, struct memory *memory, const struct interval *span)
{
	const struct mappings *mappings = memory__mappings(memory);
	const struct pagemap *pagemap = memory__pagemap(memory);
	bool all =
		span->start < span->end && !register_range(dirty, pagemap, span->start, span->end);
	int err = 0;

	for (size_t i = memory__first_mapping(memory, span->start);
	     i < mappings->count && mappings->items[i].start < span->end && !err; i++) {
		struct interval part = part_of(&mappings->items[i], span);
		bool is_armed = all || !register_range(dirty, pagemap, part.start, part.end);

		err = intervals__add(is_armed ? &dirty->armed : &dirty->refused, part.start,
				     part.end);
	}
	return err;
}

/* Does the part of a mapping go on where the span ends, with nothing mapped between them? */
static bool goes_on(const struct interval *span, const struct interval *part,
		    const struct mapping *mapping)
{
	return span->end == part->start ||
	       (part->start == mapping->start && span->end == mapping[-1].end);
}

static int cover_ranges(struct dirty_pages *dirty, struct memory *memory,
			const struct intervals *ranges)
{
	const struct mappings *mappings = memory__mappings(memory);
	struct interval span = {0};
	int err = 0;

	for (size_t r = 0; r < ranges->count; r++) {
		const struct interval *range = &ranges->items[r];

		for (size_t i = memory__first_mapping(memory, range->start);
		     i < mappings->count && mappings->items[i].start < range->end; i++) {
			const struct mapping *mapping = &mappings->items[i];
			struct interval part = part_of(mapping, range);

			if (!can_be_armed(mapping))
				continue;
			if (!span.end || !goes_on(&span, &part, mapping)) {
				err = cover_span(dirty, memory, &span);
				span.start = part.start;
			}
			if (err)
				return err;
			span.end = part.end;
		}
	}
	return cover_span(dirty, memory, &span);
}

int dirty_pages__cover(struct dirty_pages *dirty, struct memory *memory,
		       const struct intervals *ranges, bool anew)
{
	struct intervals armed = {0}, unarmed = {0}, rest = {0};
	int err;

	if (!dirty_pages__is_tracking(dirty))
		return 0;
	err = intervals__intersect(&dirty->armed, ranges, &armed);
	if (err)
		return err;
	intervals__clear(&dirty->armed);
	dirty->armed = armed;
	if (anew)
		intervals__clear(&dirty->refused);
	err = intervals__subtract(ranges, &dirty->armed, &unarmed);
	if (err)
		goto out;
	err = intervals__subtract(&unarmed, &dirty->refused, &rest);
	if (err)
		goto out;
	err = cover_ranges(dirty, memory, &rest);
out:
	intervals__clear(&unarmed);
	intervals__clear(&rest);
	return err;
}

static int arm_range(struct dirty_pages *dirty, const struct pagemap *pagemap, uint64_t start,
		     uint64_t end)
{
	if (write_tracking__rearm(&dirty->tracking, pagemap, start, end))
		return dirty_pages__drop(dirty, start, end);
	return intervals__remove(&dirty->unarmed, start, end);
}

/* Arms the runs of due; each lies inside a run of allowed. One call arms runs that are close to
 * each other, if everything between them is allowed. */
static int arm_runs(struct dirty_pages *dirty, const struct pagemap *pagemap,
		    const struct intervals *due, const struct intervals *allowed)
{
	const struct interval *within = allowed->items, *run = due->items;
	int err = 0;

	for (size_t i = 0, last; i < due->count && !err; i = last + 1) {
		while (within->end < run[i].end)
			within++;
		for (last = i; last + 1 < due->count; last++)
			if (run[last + 1].end > within->end ||
			    run[last + 1].start - run[last].end > CLOSE_BYTES)
				break;
		err = arm_range(dirty, pagemap, run[i].start, run[last].end);
	}
	return err;
}

void dirty_pages__begin(struct dirty_pages *dirty)
{
	intervals__clear(&dirty->unarmed);
	if (dirty->way == DIRTY_FAULTS)
		fault_list__mark(dirty->list, &dirty->mark);
	dirty->sure = dirty->way == DIRTY_FAULTS;
}

int dirty_pages__arm(struct dirty_pages *dirty, struct memory *memory,
		     const struct intervals *pages, const struct intervals *spared)
{
	struct intervals due = {0}, allowed = {0};
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
	if (err)
		goto out;
	if (spared) {
		err = intervals__subtract(&dirty->armed, spared, &allowed);
		if (err)
			goto out;
	}
	err = arm_runs(dirty, memory__pagemap(memory), &due, spared ? &allowed : &due);
out:
	intervals__clear(&due);
	intervals__clear(&allowed);
	return err;
}

int dirty_pages__drop(struct dirty_pages *dirty, uint64_t start, uint64_t end)
{
	int err = intervals__remove(&dirty->armed, start, end);

	if (err)
		return err;
	err = intervals__remove(&dirty->refused, start, end);
	return err ? err : intervals__remove(&dirty->unarmed, start, end);
}

/* ---- asking ---- */

static void clear_answer(struct dirty_pages *dirty)
{
	intervals__clear(&dirty->written);
	intervals__clear(&dirty->missing);
}

struct found { /* pages that may differ: that hold data, or do not */
	struct intervals written, empty;
};

/* Adds the pages of [start, end) that may differ; what is not armed may. */
static int look_at(const struct dirty_pages *dirty, struct pagemap *pagemap, uint64_t start,
		   uint64_t end, struct found *found)
{
	struct pagemap_run run;
	int more, err;

	write_tracking__begin(&dirty->tracking, pagemap, start, end);
	while ((more = write_tracking__next(&dirty->tracking, pagemap, &run)) > 0) {
		bool holds_data = run.categories & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED);

		err = intervals__add(holds_data ? &found->written : &found->empty, run.start,
				     run.end);
		if (err)
			return err;
	}
	return more;
}

/* Adds what is in both sets. */
static int add_common(struct intervals *set, const struct intervals *a, const struct intervals *b)
{
	struct intervals both = {0};
	int err = intervals__intersect(a, b, &both);

	if (err)
		return err;
	err = intervals__unite(set, &both);
	intervals__clear(&both);
	return err;
}

/* Adds the pages of armed ranges that may differ to written, or to empty. Ranges that are close to
 * each other are looked at by one call, with what is between them. */
static int scan(struct dirty_pages *dirty, struct pagemap *pagemap, const struct intervals *armed,
		struct intervals *empty)
{
	struct found found = {0};
	int err = 0;

	for (size_t i = 0, last; i < armed->count && !err; i = last + 1) {
		for (last = i; last + 1 < armed->count; last++)
			if (armed->items[last + 1].start - armed->items[last].end > CLOSE_BYTES)
				break;
		err = look_at(dirty, pagemap, armed->items[i].start, armed->items[last].end,
			      &found);
	}
	if (err)
		goto out;
	err = add_common(&dirty->written, &found.written, armed);
	if (err)
		goto out;
	err = add_common(empty, &found.empty, armed);
out:
	intervals__clear(&found.written);
	intervals__clear(&found.empty);
	return err;
}

/* The list instead of a scan of all memory: 0, or why it cannot answer. One fault may fill a whole
 * huge page, so all around a listed page is scanned. */
static int read_list(struct dirty_pages *dirty, struct pagemap *pagemap,
		     const struct intervals *armed, struct intervals *empty)
{
	struct intervals around = {0}, due = {0};
	struct fault_mark end;
	size_t count = 0;
	int err = fault_list__pages(dirty->list, &dirty->mark, dirty->pages, &count, &end);

	for (size_t i = 0; i < count && !err; i++) {
		uint64_t start = dirty->pages[i] - dirty->pages[i] % FAULT_LIST_REACH;

		err = intervals__add(&around, start, start + FAULT_LIST_REACH);
	}
	if (err)
		goto out;
	err = intervals__intersect(&around, armed, &due);
	if (err)
		goto out;
	err = scan(dirty, pagemap, &due, empty);
	if (err)
		goto out;
	err = intervals__intersect(&dirty->unarmed, armed, &due);
	if (err)
		goto out;
	err = intervals__unite(&dirty->written, &due);
	if (err)
		goto out;
	dirty->mark = end;
out:
	intervals__clear(&around);
	intervals__clear(&due);
	return err;
}

/* Can the list be relied on, and is it shorter than a scan? */
static bool is_list_best(const struct dirty_pages *dirty, const struct intervals *armed)
{
	struct fault_mark end;

	if (!dirty->sure || hooks__state(dirty->hooks)->lazily_freed)
		return false;
	fault_list__mark(dirty->list, &end);
	return (end.writes - dirty->mark.writes) * ENTRY_PAGES * PAGE_BYTES <=
	       intervals__bytes(armed);
}

/* Asks the list if that is best, or else memory. */
static int find_written(struct dirty_pages *dirty, struct memory *memory,
			const struct intervals *armed, struct intervals *empty)
{
	struct pagemap *pagemap = memory__pagemap(memory);
	int err;

	if (is_list_best(dirty, armed)) {
		err = read_list(dirty, pagemap, armed, empty);
		dirty->found_by = DIRTY_FAULTS;
		if (!err || err == -ENOMEM)
			return err;
		clear_answer(dirty);
		intervals__clear(empty);
	}
	dirty->found_by = dirty->way == DIRTY_FAULTS ? DIRTY_SCAN : dirty->way;
	if (dirty->way == DIRTY_FAULTS)
		fault_list__mark(dirty->list, &dirty->mark);
	return scan(dirty, pagemap, armed, empty);
}

int dirty_pages__ask(struct dirty_pages *dirty, struct memory *memory,
		     const struct intervals *saved, const struct intervals *known)
{
	struct intervals empty = {0}, rest = {0}, armed = {0}, compared = {0}, unarmed = {0};
	int err;

	clear_answer(dirty);
	err = intervals__intersect(&dirty->armed, saved, &armed);
	if (err)
		goto out;
	err = find_written(dirty, memory, &armed, &empty);
	if (err)
		goto out;
	err = intervals__copy(&dirty->written, &unarmed);
	if (err)
		goto out;
	err = intervals__subtract(saved, &armed, &rest);
	if (err)
		goto out;
	err = memory__all_data_pages(memory, &rest, &dirty->written);
	if (err)
		goto out;
	err = intervals__unite(&empty, &rest);
	if (err)
		goto out;
	err = intervals__intersect(known, &empty, &compared);
	if (err)
		goto out;
	err = intervals__subtract(&compared, &dirty->written, &dirty->missing);
	if (err)
		goto out;
	intervals__clear(&dirty->unarmed);
	dirty->unarmed = unarmed;
	unarmed = (struct intervals){0};
	dirty->sure = dirty->way == DIRTY_FAULTS;
out:
	intervals__clear(&empty);
	intervals__clear(&rest);
	intervals__clear(&armed);
	intervals__clear(&compared);
	intervals__clear(&unarmed);
	if (err) {
		clear_answer(dirty);
		dirty->sure = false;
	}
	return err;
}

int dirty_pages__ask_nobody(struct dirty_pages *dirty, struct memory *memory,
			    const struct intervals *saved, const struct intervals *known)
{
	int err;

	clear_answer(dirty);
	dirty->found_by = DIRTY_COMPARE;
	err = memory__all_data_pages(memory, saved, &dirty->written);
	if (!err)
		err = intervals__subtract(known, &dirty->written, &dirty->missing);
	if (err)
		clear_answer(dirty);
	return err;
}

void dirty_pages__forget(struct dirty_pages *dirty)
{
	if (dirty->list)
		fault_list__detach(dirty->list);
	write_tracking__close(&dirty->tracking);
	dirty->way = DIRTY_AUTO;
	dirty->sure = false;
	intervals__clear(&dirty->armed);
	intervals__clear(&dirty->refused);
	intervals__clear(&dirty->unarmed);
	clear_answer(dirty);
}

void dirty_pages__leave(struct dirty_pages *dirty)
{
	dirty_pages__forget(dirty);
	dirty->wish = dirty->way = DIRTY_COMPARE;
}

void dirty_pages__close(struct dirty_pages *dirty)
{
	dirty_pages__forget(dirty);
	fault_list__close(dirty->list);
	free(dirty->pages);
	dirty->list = NULL;
	dirty->pages = NULL;
}
