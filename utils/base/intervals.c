/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A set of addresses, see intervals.h for the picture and the invariant. Binary search finds a
 * place in the array. A change first gets its memory, then replaces a run of neighbours in one
 * step, so a failure leaves the set unchanged.
 */
#include "intervals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The index of the first interval with end >= address, or count. */
static size_t first_end_from(const struct intervals *set, uint64_t address)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (set->items[middle].end < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The index of the first interval with start >= address, or count. */
static size_t first_start_from(const struct intervals *set, uint64_t address)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (set->items[middle].start < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int reserve(struct intervals *set, size_t count)
{
	struct interval *items;

	if (set->items && count <= set->capacity)
		return 0;
	if (count < 2 * set->capacity)
		count = 2 * set->capacity;
	items = reallocarray(set->items, count, sizeof(*items));
	if (!items)
		return -ENOMEM;
	set->items = items;
	set->capacity = count;
	return 0;
}

/* Puts the new_count intervals of items in the place of those in [low, high). */
static int replace(struct intervals *set, size_t low, size_t high, const struct interval *items,
		   size_t new_count)
{
	size_t count = set->count - (high - low) + new_count;
	int err = reserve(set, count);

	if (err)
		return err;
	if (set->count > high)
		memmove(set->items + low + new_count, set->items + high,
			(set->count - high) * sizeof(*items));
	for (size_t i = 0; i < new_count; i++)
		set->items[low + i] = items[i];
	set->count = count;
	return 0;
}

int intervals__add(struct intervals *set, uint64_t start, uint64_t end)
{
	struct interval merged = {start, end};
	size_t low, high;

	if (start >= end)
		return 0;
	/* [low, high): all that overlap or touch */
	low = first_end_from(set, start);
	high = first_start_from(set, end);
	if (high < set->count && set->items[high].start == end)
		high++;
	if (low < high) {
		if (set->items[low].start < start)
			merged.start = set->items[low].start;
		if (set->items[high - 1].end > end)
			merged.end = set->items[high - 1].end;
	}
	return replace(set, low, high, &merged, 1);
}

int intervals__remove(struct intervals *set, uint64_t start, uint64_t end)
{
	struct interval rest[2];
	size_t low, high, count = 0;

	if (start >= end)
		return 0;
	/* [low, high): all that overlap */
	low = first_end_from(set, start);
	if (low < set->count && set->items[low].end == start)
		low++;
	high = first_start_from(set, end);
	if (low >= high)
		return 0;
	if (set->items[low].start < start)
		rest[count++] = (struct interval){set->items[low].start, start};
	if (set->items[high - 1].end > end)
		rest[count++] = (struct interval){end, set->items[high - 1].end};
	return replace(set, low, high, rest, count);
}

/* Adds an interval behind all others of the set, which has room for it; may touch or overlap the
 * last one. */
static void append(struct intervals *set, const struct interval *item)
{
	struct interval *last = set->count ? &set->items[set->count - 1] : NULL;

	if (!last || item->start > last->end)
		set->items[set->count++] = *item;
	else if (item->end > last->end)
		last->end = item->end;
}

int intervals__unite(struct intervals *set, const struct intervals *other)
{
	struct intervals united = {0};
	size_t i = 0, j = 0;
	int err;

	if (!other->count)
		return 0;
	err = reserve(&united, set->count + other->count);
	if (err)
		return err;
	while (i < set->count || j < other->count) {
		if (j == other->count ||
		    (i < set->count && set->items[i].start < other->items[j].start))
			append(&united, &set->items[i++]);
		else
			append(&united, &other->items[j++]);
	}
	intervals__clear(set);
	*set = united;
	return 0;
}

int intervals__copy(const struct intervals *a, struct intervals *ret)
{
	intervals__clear(ret);
	return intervals__unite(ret, a);
}

/* Neither a difference nor an intersection has more intervals than its two sets together. */
static int begin_result(const struct intervals *a, const struct intervals *b, struct intervals *ret)
{
	intervals__clear(ret);
	return reserve(ret, a->count + b->count);
}

int intervals__subtract(const struct intervals *a, const struct intervals *b, struct intervals *ret)
{
	size_t j = 0;
	int err = begin_result(a, b, ret);

	if (err)
		return err;
	for (size_t i = 0; i < a->count; i++) {
		uint64_t start = a->items[i].start, end = a->items[i].end;

		while (j < b->count && b->items[j].end <= start)
			j++;
		/* b's last overlap may reach into a's next interval, so j stays on it */
		while (j < b->count && b->items[j].start < end) {
			if (b->items[j].start > start)
				ret->items[ret->count++] =
					(struct interval){start, b->items[j].start};
			start = b->items[j].end;
			if (start >= end)
				break;
			j++;
		}
		if (start < end)
			ret->items[ret->count++] = (struct interval){start, end};
	}
	return 0;
}

int intervals__intersect(const struct intervals *a, const struct intervals *b,
			 struct intervals *ret)
{
	size_t i = 0, j = 0;
	int err = begin_result(a, b, ret);

	if (err)
		return err;
	while (i < a->count && j < b->count) {
		const struct interval *x = &a->items[i], *y = &b->items[j];
		uint64_t start = x->start > y->start ? x->start : y->start;
		uint64_t end = x->end < y->end ? x->end : y->end;

		if (start < end)
			ret->items[ret->count++] = (struct interval){start, end};
		if (x->end < y->end)
			i++;
		else
			j++;
	}
	return 0;
}

const struct interval *intervals__find(const struct intervals *set, uint64_t address)
{
	size_t i;

	/* end > address is end >= address + 1; nothing can hold the very last address */
	if (address == UINT64_MAX)
		return NULL;
	i = first_end_from(set, address + 1);
	return i < set->count && set->items[i].start <= address ? &set->items[i] : NULL;
}

uint64_t intervals__bytes(const struct intervals *set)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < set->count; i++)
		bytes += set->items[i].end - set->items[i].start;
	return bytes;
}

void intervals__clear(struct intervals *set)
{
	free(set->items);
	*set = (struct intervals){0};
}
