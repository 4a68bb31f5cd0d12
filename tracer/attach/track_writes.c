/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which pages of the process may have changed since base. All anonymous memory is armed then, and
 * pages that were written since are found by the list of faults (kernel/fault_list.h) if there is
 * one, or else by a scan of all memory.
 *
 * Where the list answers, nothing was mapped or unmapped either: whoever does that is a sign. So
 * the mappings are those of base, and no maps file is read. Only a stack can have grown; if pages
 * of it are written, they are listed, and are no pages of base.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "attach/attach_state.h"
#include "attach/layout.h"
#include "base/page.h"
#include "base/procfs.h"
#include "target/inject.h"
#include "target/reason.h"

/* Pages with fewer bytes between them are armed by one call. */
enum { CLOSE_BYTES = 1 << 20 };

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

/* Can nothing be done with a process for which that is why it cannot make a userfaultfd? */
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
	if (!err)
		err = fault_list__attach(attach->faults, attach->pid);
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

/* ---- asking ---- */

/* Of base, what cannot change unless it is mapped anew: read-only mappings of files. */
static int find_quiet(const struct attach *attach, const struct mappings *mappings,
		      struct intervals *ret_quiet)
{
	struct intervals same = {0}, quiet = {0};
	int err = 0;

	if (!attach->base)
		return 0;
	for (size_t i = 0; i < mappings->count && !err; i++) {
		const struct mapping *mapping = &mappings->items[i];

		if (layout__kind(mapping) == LAYOUT_FILE && !(mapping->flags & MAPPING_WRITE))
			err = intervals__add(&quiet, mapping->start, mapping->end);
	}
	if (!err)
		err = layout__same(&attach->base->mappings, mappings, &same);
	if (!err)
		err = intervals__intersect(&quiet, &same, ret_quiet);
	intervals__clear(&same);
	intervals__clear(&quiet);
	return err;
}

/* The mapping of base that holds address, or NULL. */
static const struct mapping *find_mapping(const struct mappings *mappings, uint64_t address)
{
	size_t first = 0, end = mappings->count;

	while (first < end) {
		const size_t middle = first + (end - first) / 2;

		if (mappings->items[middle].end > address)
			end = middle;
		else
			first = middle + 1;
	}
	return first < mappings->count && mappings->items[first].start <= address
		       ? &mappings->items[first]
		       : NULL;
}

/* Adds a page that was written. If it did not hold data before, its fault may have filled a whole
 * huge page. Returns 0; -ESTALE if it is no page of base; or -ENOMEM. */
static int add_listed(const struct attach *attach, uint64_t page, struct changes_limits *limits)
{
	const uint64_t start = page & ~(FAULT_LIST_REACH - 1), end = start + FAULT_LIST_REACH;
	const struct mapping *mapping = find_mapping(&attach->base->mappings, page);

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

/* What the process has of its own in mappings of files, it had at base, or it is listed. */
static int add_own(const struct attach *attach, struct intervals *own)
{
	const struct mappings *mappings = &attach->base->mappings;
	uint64_t address = 0;
	int err = 0;

	for (size_t i = 0; i < mappings->count && !err; i++) {
		const struct mapping *mapping = &mappings->items[i];

		if (layout__kind(mapping) != LAYOUT_FILE || !(mapping->flags & MAPPING_WRITE))
			continue;
		for (uint64_t at = mapping->start;
		     !err && page_tree__next(&attach->base->tree, at, mapping->end, &address);
		     at = address + PAGE_BYTES)
			err = intervals__add(own, address, address + PAGE_BYTES);
	}
	return err;
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
	err = add_own(attach, &ret_limits->own);
	for (size_t i = 0; i < count && !err; i++)
		err = add_listed(attach, attach->pages[i], ret_limits);
	return err;
}

int attach_state__look(struct attach *attach, struct mappings *room,
		       const struct mappings **ret_now)
{
	static const struct write_tracking none = WRITE_TRACKING_OFF;
	static const enum attach_found ways[] = {[WRITE_TRACKING_NONE] = ATTACH_COMPARED,
						 [WRITE_TRACKING_SOFT_DIRTY] = ATTACH_SOFT_DIRTY,
						 [WRITE_TRACKING_PROTECT] = ATTACH_SCANNED};
	const struct write_tracking *tracking = &attach->tracking;
	struct changes_limits limits = {0};
	struct intervals quiet = {0};
	const struct mappings *now = room;
	int err = ask_list(attach, &limits);
	const bool listed = !err;

	if (err == -ESTALE)
		err = procfs__mappings(attach->pid, room);
	else
		now = &attach->base->mappings;
	if (!attach->base || attach->may_have_pins) /* see write_tracking.h */
		tracking = &none;
	attach->found = listed ? ATTACH_LISTED : ways[tracking->way];
	if (!err)
		err = find_quiet(attach, now, &quiet);
	if (!err)
		err = changes__find(tracking, &attach->pagemap, now, &quiet,
				    listed ? &limits : NULL, &attach->changes);
	intervals__clear(&limits.written);
	intervals__clear(&limits.around);
	intervals__clear(&limits.own);
	intervals__clear(&quiet);
	if (!err)
		*ret_now = now;
	return err;
}

/* ---- arming ---- */

/* Calls arm for the parts of ranges that lie in anonymous mappings, each with what is between it
 * and the next one if that is near. Returns whether all succeeded. */
static bool arm_parts(struct attach *attach, const struct mappings *mappings,
		      const struct intervals *ranges, uint64_t near,
		      int (*arm)(const struct write_tracking *tracking,
				 const struct pagemap *pagemap, uint64_t start, uint64_t end))
{
	const struct interval *range = ranges->items, *last = range + ranges->count;
	bool all = true;

	for (size_t i = 0; i < mappings->count; i++) {
		const struct mapping *mapping = &mappings->items[i];

		if (layout__kind(mapping) != LAYOUT_ANONYMOUS)
			continue;
		while (range < last && range->end <= mapping->start)
			range++;
		for (const struct interval *next = range; next < last;) {
			uint64_t start, end;

			if (next->start >= mapping->end)
				break;
			start = next->start > mapping->start ? next->start : mapping->start;
			do
				end = next->end < mapping->end ? next->end : mapping->end;
			while (++next < last && next->start < mapping->end &&
			       next->start - end <= near);
			all &= !arm(&attach->tracking, &attach->pagemap, start, end);
		}
	}
	return all;
}

bool attach_state__arm(struct attach *attach, const struct mappings *mappings,
		       const struct intervals *ranges)
{
	return arm_parts(attach, mappings, ranges, 0, write_tracking__arm);
}

/* Of a process that stands still, so that pages between those that were written are clean. */
static bool arm_again(struct attach *attach, const struct mappings *mappings,
		      const struct intervals *touched)
{
	struct intervals due = {0};
	bool all = !intervals__copy(touched, &due) &&
		   !intervals__unite(&due, &attach->changes.data) &&
		   arm_parts(attach, mappings, &due, CLOSE_BYTES, write_tracking__rearm);

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

void attach_state__set_base(struct attach *attach, struct checkpoint *base,
			    const struct mappings *mappings, const struct intervals *touched)
{
	const bool first = !attach->base;
	bool all;

	if (attach->base != base)
		attach_state__lose_base(attach);
	attach->base = write_tracking__begin_round(&attach->tracking) ? NULL : base;
	all = first ? arm_all(attach, mappings)
		    : attach_state__arm(attach, mappings, &attach->changes.unarmed);
	all &= arm_again(attach, mappings, touched);
	attach->is_sure = attach->faults && all;
	if (attach->is_sure)
		fault_list__mark(attach->faults, &attach->mark);
}
