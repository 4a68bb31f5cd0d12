/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See changes.h.
 */
#include "attach/changes.h"

#include "attach/layout.h"

/* Before Linux 6.15 the kernel does not tell them. */
static uint64_t guard_of(const struct pagemap *pagemap)
{
	return pagemap->knows_guards ? PAGEMAP_GUARD : 0;
}

/* In anonymous memory: what write tracking says. */
static int find_written(const struct write_tracking *tracking, struct pagemap *pagemap,
			const struct interval *range, struct changes *changes)
{
	struct pagemap_run run;
	int more, err;

	write_tracking__begin_with(tracking, pagemap, range->start, range->end, guard_of(pagemap));
	while ((more = write_tracking__next(tracking, pagemap, &run)) > 0) {
		err = intervals__add(&changes->written, run.start, run.end);
		if (err)
			return err;
		if (run.categories & PAGEMAP_GUARD)
			err = intervals__add(&changes->guards, run.start, run.end);
		else if (run.categories & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED))
			err = intervals__add(&changes->data, run.start, run.end);
		if (err)
			return err;
		if (tracking->way == WRITE_TRACKING_PROTECT &&
		    !(run.categories & PAGEMAP_TRACKED)) {
			err = intervals__add(&changes->unarmed, run.start, run.end);
			if (err)
				return err;
		}
	}
	return more;
}

/* In a mapping of a file, which cannot be armed: all pages that the process has of its own. */
static int find_own(struct pagemap *pagemap, const struct interval *range, struct changes *changes)
{
	struct pagemap_run run;
	int err = 0, more;

	pagemap__begin_any(pagemap, range->start, range->end, 0,
			   PAGEMAP_PRESENT | PAGEMAP_SWAPPED | guard_of(pagemap),
			   PAGEMAP_FILE | guard_of(pagemap));
	while ((more = pagemap__next(pagemap, &run)) > 0 && !err)
		if (run.categories & PAGEMAP_GUARD)
			err = intervals__add(&changes->guards, run.start, run.end);
		else if (!(run.categories & PAGEMAP_FILE))
			err = intervals__add(&changes->own, run.start, run.end);
	return err ? err : more;
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
	if (err)
		goto out;
	err = intervals__subtract(&all, quiet, ret_ranges);
out:
	intervals__clear(&all);
	return err;
}

int changes__find(const struct write_tracking *tracking, struct pagemap *pagemap,
		  const struct mappings *mappings, const struct intervals *quiet,
		  struct changes *ret)
{
	struct intervals ranges = {0};
	int err;

	changes__clear(ret);
	err = find_ranges(mappings, LAYOUT_ANONYMOUS, quiet, &ranges);
	for (size_t i = 0; i < ranges.count && !err; i++)
		err = find_written(tracking, pagemap, &ranges.items[i], ret);
	if (err)
		goto out;
	err = find_ranges(mappings, LAYOUT_FILE, quiet, &ranges);
	if (err)
		goto out;
	err = intervals__unite(&ret->written, &ranges);
	for (size_t i = 0; i < ranges.count && !err; i++)
		err = find_own(pagemap, &ranges.items[i], ret);
	if (err)
		goto out;
	err = intervals__unite(&ret->data, &ret->own);
out:
	intervals__clear(&ranges);
	return err;
}

int changes__find_in(const struct write_tracking *tracking, struct pagemap *pagemap,
		     const struct changes_limits *limits, struct changes *ret)
{
	int err = 0;

	changes__clear(ret);
	for (size_t i = 0; i < limits->around.count && !err; i++)
		err = find_written(tracking, pagemap, &limits->around.items[i], ret);
	if (err)
		return err;
	err = intervals__unite(&ret->written, &limits->written);
	if (err)
		return err;
	err = intervals__unite(&ret->written, limits->files);
	if (err)
		return err;
	err = intervals__intersect(&limits->own, limits->files, &ret->own);
	if (err)
		return err;
	err = intervals__unite(&ret->data, &limits->written);
	return err ? err : intervals__unite(&ret->data, &ret->own);
}

void changes__clear(struct changes *changes)
{
	intervals__clear(&changes->written);
	intervals__clear(&changes->data);
	intervals__clear(&changes->own);
	intervals__clear(&changes->unarmed);
	intervals__clear(&changes->guards);
}
