/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See changes.h.
 */
#include "attach/changes.h"

#include "attach/layout.h"

static int add_run(const struct write_tracking *tracking, const struct pagemap_run *run,
		   struct changes *changes)
{
	const bool holds = run->categories & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED);
	int err = intervals__add(&changes->written, run->start, run->end);

	if (!err && holds && !(run->categories & PAGEMAP_FILE))
		err = intervals__add(&changes->data, run->start, run->end);
	if (!err && tracking->way == WRITE_TRACKING_PROTECT && !(run->categories & PAGEMAP_TRACKED))
		err = intervals__add(&changes->unarmed, run->start, run->end);
	return err;
}

static int find_in(const struct write_tracking *tracking, struct pagemap *pagemap,
		   const struct interval *range, bool of_file, struct changes *changes)
{
	struct pagemap_run run;
	int more, err;

	if (tracking->way == WRITE_TRACKING_NONE)
		pagemap__begin_any(pagemap, range->start, range->end, 0, 0,
				   of_file ? PAGEMAP_FILE : 0);
	else
		write_tracking__begin(tracking, pagemap, range->start, range->end, of_file);
	while ((more = write_tracking__next(tracking, pagemap, &run)) > 0) {
		err = add_run(tracking, &run, changes);
		if (err)
			return err;
	}
	return more;
}

/* The addresses of one kind that are looked at. */
static int find_ranges(const struct mappings *mappings, enum layout_kind kind,
		       const struct intervals *quiet, struct intervals *ret_ranges)
{
	struct intervals all = {0};
	int err = 0;

	for (size_t i = 0; i < mappings->count && !err; i++)
		if (layout__kind(&mappings->items[i]) == kind)
			err = intervals__add(&all, mappings->items[i].start,
					     mappings->items[i].end);
	if (!err)
		err = intervals__subtract(&all, quiet, ret_ranges);
	intervals__clear(&all);
	return err;
}

int changes__find(const struct write_tracking *tracking, struct pagemap *pagemap,
		  const struct mappings *mappings, const struct intervals *quiet,
		  struct changes *ret)
{
	static const enum layout_kind kinds[] = {LAYOUT_ANONYMOUS, LAYOUT_FILE};
	struct intervals ranges = {0};
	int err = 0;

	changes__clear(ret);
	for (size_t kind = 0; kind < sizeof(kinds) / sizeof(*kinds) && !err; kind++) {
		err = find_ranges(mappings, kinds[kind], quiet, &ranges);
		for (size_t i = 0; i < ranges.count && !err; i++)
			err = find_in(tracking, pagemap, &ranges.items[i],
				      kinds[kind] == LAYOUT_FILE, ret);
	}
	intervals__clear(&ranges);
	return err;
}

void changes__clear(struct changes *changes)
{
	intervals__clear(&changes->written);
	intervals__clear(&changes->data);
	intervals__clear(&changes->unarmed);
}
