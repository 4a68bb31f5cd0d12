/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which pages of the process may have changed since base. All anonymous memory is armed then, and
 * pages that were written since are found by the list of faults (kernel/fault_list.h) if there is
 * one, or else by a scan of all memory.
 *
 * Where the list answers, nothing was mapped or unmapped either: that would be a sign. So the
 * mappings are those of base, and no maps file is read. Only a stack can have grown. Its new pages
 * are listed if they are written, and then lie in no mapping of base.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "attach/attach.h"
#include "attach/attach_state.h"
#include "attach/layout.h"
#include "base/page.h"
#include "base/procfs.h"
#include "target/inject.h"
#include "target/reason.h"
#include "target/userfault.h"

enum {
	/* At most so many are left unarmed. To arm one takes 5 to 55 us, to write one back less
	 * than 1 us. */
	HOT_PAGES = 64,
	HOT_ROUNDS = 64, /* then all are armed once: some may not be written any more */
	/* Pages with no more between them are armed again by one call. */
	CLOSE_BYTES = 1 << 20,
	CLOSE_MAPPINGS = 32,
};

/* ---- the way ---- */

/* Does it work on this kernel? */
static bool works(enum write_tracking_way way)
{
	struct pagemap *own = malloc(sizeof(*own));
	int fd = procfs__open(0, "pagemap", O_RDONLY);
	bool result = false;

	if (own && fd >= 0) {
		pagemap__init(own, fd);
		result = write_tracking__works(way, own);
	}
	if (fd >= 0)
		(void)close(fd);
	free(own);
	return result;
}

/* The process cannot make a userfaultfd: does that error rule out all other ways, too? */
static bool is_fatal(int err)
{
	switch (err) {
	case -ESRCH:
	case -REASON_TRACED:
	case -REASON_NOT_STOPPED:
	case -REASON_CALLS_FOREIGN:
	case -REASON_PTRACE_FORBIDDEN:
		return true;
	default:
		return false;
	}
}

static int try_protect(struct attach *attach)
{
	int uffd = inject__userfaultfd(attach->pid);

	if (uffd >= 0)
		return write_tracking__watch(&attach->tracking, WRITE_TRACKING_PROTECT, uffd, -1);
	attach->serves_faults = uffd == -REASON_OWN_USERFAULT;
	return uffd;
}

static int try_soft_dirty(struct attach *attach)
{
	int fd = procfs__open(attach->pid, "clear_refs", O_WRONLY);

	return fd < 0 ? fd
		      : write_tracking__watch(&attach->tracking, WRITE_TRACKING_SOFT_DIRTY, -1, fd);
}

/* The list of faults, beside what try_protect() has begun. Without it memory is scanned. */
static int start_list(struct attach *attach, const struct hooks *hooks)
{
	int err;

	if (!hooks)
		return 0;
	attach->pages = malloc(FAULT_PAGES * sizeof(*attach->pages));
	if (!attach->pages)
		return -ENOMEM;
	err = fault_list__open(hooks, &attach->faults);
	if (err)
		goto out;
	err = fault_list__attach(attach->faults, attach->process);
out:
	if (err) {
		fault_list__close(attach->faults);
		attach->faults = NULL;
	}
	attach->hooks = hooks;
	return err == -ESRCH || err == -ENOMEM ? err : 0;
}

int attach_state__start_tracking(struct attach *attach, enum write_tracking_way best,
				 const struct hooks *hooks)
{
	int err;

	if (best == WRITE_TRACKING_PROTECT && works(WRITE_TRACKING_PROTECT)) {
		err = try_protect(attach);
		if (!err)
			return start_list(attach, hooks);
		if (is_fatal(err))
			return err;
	}
	if (best != WRITE_TRACKING_NONE && works(WRITE_TRACKING_SOFT_DIRTY)) {
		err = try_soft_dirty(attach);
		if (!err || err == -ESRCH)
			return err;
	}
	return write_tracking__watch(&attach->tracking, WRITE_TRACKING_NONE, -1, -1);
}

void attach_state__stop_tracking(struct attach *attach)
{
	fault_list__close(attach->faults);
	attach->faults = NULL;
	free(attach->pages);
	attach->pages = NULL;
	write_tracking__close(&attach->tracking);
}

void attach_state__look_for_pins(struct attach *attach)
{
	const bool before = attach->has_pins;
	uint64_t pages = 0;

	attach->has_pins = !procfs__status_u64(attach->pid, "VmPin", &pages) && pages;
	attach->may_have_pins = before || attach->has_pins;
}

void attach__distrust_list(struct attach *attach)
{
	attach->is_sure = false;
}

/* ---- asking ---- */

/* Adds read-only mappings of files. */
static int add_read_only(const struct mappings *mappings, struct intervals *quiet)
{
	int err = 0;

	for (size_t i = 0; i < mappings->count && !err; i++) {
		const struct mapping *mapping = &mappings->items[i];

		if (layout__kind(mapping) == LAYOUT_FILE && !(mapping->flags & MAPPING_WRITE))
			err = intervals__add(quiet, mapping->start, mapping->end);
	}
	return err;
}

/* Finds what cannot have changed since base, in mappings that are still there: read-only mappings
 * of files, and pages that a quick walk finds clean. */
static int find_quiet(struct attach *attach, const struct write_tracking *tracking,
		      const struct mappings *mappings, struct intervals *ret_quiet)
{
	struct intervals same = {0}, quiet = {0};
	int err = 0;

	if (!attach->base)
		return 0;
	if (tracking->way == WRITE_TRACKING_PROTECT)
		err = dense_blocks__find_clean(&attach->base->dense, attach->pid, &attach->pagemap,
					       attach->second, &attach->second_pagemap, &quiet);
	if (err)
		goto out;
	err = add_read_only(mappings, &quiet);
	if (err)
		goto out;
	err = layout__same(&attach->base->mappings, mappings, &same);
	if (err)
		goto out;
	err = intervals__intersect(&quiet, &same, ret_quiet);
out:
	intervals__clear(&same);
	intervals__clear(&quiet);
	return err;
}

/* Adds a page that was written. If it did not hold data before, its fault may have filled a whole
 * huge page. Returns 0; -ESTALE if it is no page of base; or -ENOMEM. */
static int add_listed(const struct attach *attach, uint64_t page, struct changes_limits *limits)
{
	const uint64_t start = page & ~(FAULT_LIST_REACH - 1), end = start + FAULT_LIST_REACH;
	const struct mapping *mapping = layout__find(&attach->base->mappings, page);

	if (!mapping)
		return -ESTALE;
	switch (layout__kind(mapping)) {
	case LAYOUT_ANONYMOUS:
		if (page_tree__get(&attach->base->tree, page))
			return intervals__add(&limits->written, page, page + PAGE_BYTES);
		return intervals__add(&limits->around,
				      start > mapping->start ? start : mapping->start,
				      end < mapping->end ? end : mapping->end);
	case LAYOUT_FILE:
		return intervals__add(&limits->own, page, page + PAGE_BYTES);
	default:
		return 0;
	}
}

/* Where pages may have changed, as the list says. Returns 0; -ESTALE: it cannot say; or -ENOMEM. */
static int ask_list(const struct attach *attach, struct changes_limits *ret_limits)
{
	struct fault_mark end;
	size_t count = 0;
	int err;

	if (!attach->base || !attach->is_sure || attach->may_have_pins ||
	    hooks__state(attach->hooks)->lazily_freed)
		return -ESTALE;
	err = fault_list__pages(attach->faults, &attach->mark, attach->pages, &count, &end);
	if (err)
		return -ESTALE;
	/* what the process has of its own in mappings of files, it had at base, or it is listed */
	ret_limits->files = &attach->base->ranges.files;
	err = intervals__copy(&attach->base->own, &ret_limits->own);
	if (err)
		return err;
	err = intervals__copy(&attach->hot, &ret_limits->written);
	if (err)
		return err;
	for (size_t i = 0; i < count && !err; i++)
		err = add_listed(attach, attach->pages[i], ret_limits);
	return err;
}

/* Where nothing was looked at, the guards of base are still there. quiet: those addresses; NULL:
 * all of them. */
static int add_old_guards(struct attach *attach, const struct intervals *quiet)
{
	struct intervals old = {0};
	int err = 0;

	if (!attach->base)
		return 0;
	err = quiet ? intervals__intersect(&attach->base->guards, quiet, &old)
		    : intervals__copy(&attach->base->guards, &old);
	if (err)
		goto out;
	err = intervals__unite(&attach->changes.guards, &old);
out:
	intervals__clear(&old);
	return err;
}

/* Looks at all that may have changed. */
static int look_at_all(struct attach *attach, const struct mappings *now)
{
	static const struct write_tracking none = WRITE_TRACKING_OFF;
	static const enum attach_found ways[] = {[WRITE_TRACKING_NONE] = ATTACH_COMPARED,
						 [WRITE_TRACKING_SOFT_DIRTY] = ATTACH_SOFT_DIRTY,
						 [WRITE_TRACKING_PROTECT] = ATTACH_SCANNED};
	const struct write_tracking *tracking = &attach->tracking;
	struct intervals quiet = {0};
	int err;

	if (!attach->base || attach->may_have_pins) /* see write_tracking.h */
		tracking = &none;
	attach->found = ways[tracking->way];
	err = find_quiet(attach, tracking, now, &quiet);
	if (err)
		goto out;
	err = changes__find(tracking, &attach->pagemap, now, &quiet, &attach->changes);
	if (err)
		goto out;
	err = add_old_guards(attach, &quiet);
out:
	intervals__clear(&quiet);
	return err;
}

/* Looks at what the list names. Returns 0; -ESTALE if it may lack pages; or another -errno. */
static int look_at_listed(struct attach *attach)
{
	struct changes_limits limits = {0};
	int err = ask_list(attach, &limits);

	if (err)
		goto out;
	attach->found = ATTACH_LISTED;
	err = changes__find_in(&attach->tracking, &attach->pagemap, &limits, &attach->changes);
	if (err)
		goto out;
	err = add_old_guards(attach, NULL);
out:
	intervals__clear(&limits.written);
	intervals__clear(&limits.around);
	intervals__clear(&limits.own);
	return err;
}

/* In memory that another one has registered with a userfaultfd, a page that either side arms looks
 * clean to the other one: from now on, memory is compared. */
static void leave_to_other(struct attach *attach)
{
	attach_state__stop_tracking(attach);
	attach->serves_faults = userfault__is_open(attach->pid) > 0;
	attach->is_tracked = attach->is_sure = false;
}

bool attach_state__look_for_userfaults(struct attach *attach)
{
	if (attach->tracking.way != WRITE_TRACKING_PROTECT || userfault__is_open(attach->pid) <= 0)
		return false;
	leave_to_other(attach);
	return true;
}

int attach_state__look(struct attach *attach, struct mappings *room,
		       const struct mappings **ret_now)
{
	int err = look_at_listed(attach);

	if (!err)
		*ret_now = &attach->base->mappings;
	if (err != -ESTALE)
		return err;
	err = procfs__mappings(attach->pid, room);
	if (err)
		return err;
	err = look_at_all(attach, room);
	/* registered just before the stop: to touch it would be a fault that nobody serves now */
	if (!err && attach->changes.unarmed.count && attach_state__look_for_userfaults(attach))
		err = look_at_all(attach, room);
	if (err)
		return err;
	*ret_now = room;
	return 0;
}

/* ---- arming ---- */

static bool arm(struct attach *attach, uint64_t start, uint64_t end)
{
	const int err = write_tracking__arm(&attach->tracking, &attach->pagemap, start, end);

	attach->is_tracked |= err == -EBUSY;
	return !err;
}

/* In anonymous mappings. Returns whether all could be armed. */
bool attach_state__arm(struct attach *attach, const struct mappings *mappings,
		       const struct intervals *ranges)
{
	const struct interval *range = ranges->items, *last = range + ranges->count;
	bool all = true;

	for (size_t i = 0; i < mappings->count && range < last; i++) {
		const struct mapping *mapping = &mappings->items[i];

		if (layout__kind(mapping) != LAYOUT_ANONYMOUS)
			continue;
		while (range < last && range->end <= mapping->start)
			range++;
		for (const struct interval *next = range; next < last; next++) {
			if (next->start >= mapping->end)
				break;
			all &= arm(attach,
				   next->start > mapping->start ? next->start : mapping->start,
				   next->end < mapping->end ? next->end : mapping->end);
		}
	}
	return all;
}

/* Does it take longer to arm again both sides of [start, end) than to look at all of it? Both sides
 * are mapped. */
static bool is_near(const struct mappings *mappings, uint64_t start, uint64_t end)
{
	const struct mapping *mapping = layout__find(mappings, start - 1);
	uint64_t bytes = 0;

	for (int i = 0; i < CLOSE_MAPPINGS && bytes <= CLOSE_BYTES; i++, mapping++) {
		const uint64_t first = mapping->start > start ? mapping->start : start;
		const uint64_t last = mapping->end < end ? mapping->end : end;

		if (first < last && layout__kind(mapping) == LAYOUT_ANONYMOUS)
			bytes += last - first;
		if (mapping->end > end)
			return bytes <= CLOSE_BYTES;
	}
	return false;
}

/*
 * Arms the pages that were written. The process stands still, so the pages between them are clean.
 * To arm a few pages takes longer than to write them back each time, so they stay unarmed. They are
 * in changes.data of the next look. Once they are many, or after HOT_ROUNDS, all are armed.
 */
static bool arm_again(struct attach *attach, const struct checkpoint *now,
		      const struct intervals *touched)
{
	struct intervals changed = {0}, anonymous = {0}, due = {0};
	bool all = !intervals__copy(touched, &changed) &&
		   !intervals__unite(&changed, &attach->changes.data) &&
		   !intervals__intersect(&changed, &now->ranges.anonymous, &anonymous) &&
		   !intervals__subtract(&anonymous, &now->guards, &due);

	intervals__clear(&attach->hot);
	if (all && attach->tracking.way == WRITE_TRACKING_PROTECT &&
	    intervals__bytes(&due) <= HOT_PAGES * PAGE_BYTES && attach->hot_rounds < HOT_ROUNDS) {
		attach->hot = due;
		attach->hot_rounds++;
		due = (struct intervals){0};
	} else {
		attach->hot_rounds = 0;
	}
	for (size_t i = 0, first = 0; i < due.count && all; i++) {
		if (i + 1 < due.count &&
		    is_near(&now->mappings, due.items[i].end, due.items[i + 1].start))
			continue;
		all = !write_tracking__rearm_across(&attach->tracking, &attach->pagemap,
						    due.items[first].start, due.items[i].end);
		first = i + 1;
	}
	intervals__clear(&changed);
	intervals__clear(&anonymous);
	intervals__clear(&due);
	return all;
}

static bool arm_all(struct attach *attach, const struct mappings *mappings)
{
	const struct intervals whole = {.items = &(struct interval){0, UINT64_MAX}, .count = 1};

	return attach_state__arm(attach, mappings, &whole);
}

static bool is_listed(const struct attach *attach, const struct checkpoint *checkpoint)
{
	const struct checkpoint *found = attach->list.first;

	while (found && found != checkpoint)
		found = found->next;
	return found;
}

/* If it was taken out of the list, it is ours to free. */
void attach_state__lose_base(struct attach *attach)
{
	if (!is_listed(attach, attach->base))
		checkpoint__free(attach->base);
	attach->base = NULL;
}

/* Only the tracer can close its userfaultfd, so there is nothing to check. */
static int begin_round(const struct attach *attach)
{
	return attach->tracking.way == WRITE_TRACKING_PROTECT
		       ? 0
		       : write_tracking__begin_round(&attach->tracking);
}

void attach_state__set_base(struct attach *attach, struct checkpoint *base,
			    const struct intervals *touched)
{
	const bool first = !attach->base;
	bool all;

	if (attach->base != base)
		attach_state__lose_base(attach);
	attach->base = begin_round(attach) ? NULL : base;
	all = first ? arm_all(attach, &base->mappings)
		    : attach_state__arm(attach, &base->mappings, &attach->changes.unarmed);
	if (attach->is_tracked)
		leave_to_other(attach);
	all &= arm_again(attach, base, touched);
	attach->is_sure = attach->faults && all && !attach->is_shared;
	if (attach->is_sure)
		fault_list__mark(attach->faults, &attach->mark);
}
