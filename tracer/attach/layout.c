/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See layout.h. Two lists are walked together, from one edge of a mapping to the next:
 *
 *	before:  |---- A ----|      |--- B ---|
 *	now:         |------ A -----|--- C ---|
 *	slices:  |map| same  | unmap| unmap,map|
 */
#include "attach/layout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "target/reason.h"

enum { RIGHTS = MAPPING_READ | MAPPING_WRITE | MAPPING_EXEC, FIRST_ROOM = 16 };

static bool begins(const char *text, const char *start)
{
	return !strncmp(text, start, strlen(start));
}

static bool is_device(const struct mapping *mapping)
{
	return begins(mapping->path, "/dev/") && strcmp(mapping->path, "/dev/zero") != 0 &&
	       !begins(mapping->path, "/dev/shm/");
}

enum layout_kind layout__kind(const struct mapping *mapping)
{
	const char *path = mapping->path;

	if (*path == '[' && strcmp(path, "[heap]") != 0 && strcmp(path, "[stack]") != 0 &&
	    !begins(path, "[anon:") && !begins(path, "[anon_shmem:"))
		return LAYOUT_KERNEL;
	if (mapping->flags & MAPPING_SHARED)
		return LAYOUT_SHARED;
	if (!mapping->inode)
		return LAYOUT_ANONYMOUS;
	return is_device(mapping) ? LAYOUT_DEVICE : LAYOUT_FILE;
}

bool layout__is_saved(const struct mapping *mapping)
{
	return layout__kind(mapping) <= LAYOUT_FILE;
}

const struct mapping *layout__find(const struct mappings *mappings, uint64_t address)
{
	const size_t first = procfs__first_above(mappings, address);

	return first < mappings->count && mappings->items[first].start <= address
		       ? &mappings->items[first]
		       : NULL;
}

int layout__find_ranges(const struct mappings *mappings, struct layout_ranges *ret)
{
	int err = 0;

	for (size_t i = 0; i < mappings->count && !err; i++) {
		const struct mapping *mapping = &mappings->items[i];
		const enum layout_kind kind = layout__kind(mapping);

		if (!layout__is_saved(mapping))
			continue;
		err = intervals__add(&ret->saved, mapping->start, mapping->end);
		if (err)
			return err;
		if (kind == LAYOUT_ANONYMOUS)
			err = intervals__add(&ret->anonymous, mapping->start, mapping->end);
		else if (kind == LAYOUT_FILE && (mapping->flags & MAPPING_WRITE))
			err = intervals__add(&ret->files, mapping->start, mapping->end);
	}
	return err;
}

void layout__clear_ranges(struct layout_ranges *ranges)
{
	intervals__clear(&ranges->anonymous);
	intervals__clear(&ranges->files);
	intervals__clear(&ranges->saved);
}

/* Do both, which overlap, show the same bytes of the same thing? */
static bool has_same_backing(const struct mapping *a, const struct mapping *b)
{
	if (layout__kind(a) != layout__kind(b) || a->inode != b->inode)
		return false;
	return !a->inode || (a->dev_major == b->dev_major && a->dev_minor == b->dev_minor &&
			     a->start - a->offset == b->start - b->offset);
}

static bool has_same_rights(const struct mapping *a, const struct mapping *b)
{
	return (a->flags & RIGHTS) == (b->flags & RIGHTS);
}

static bool can_be_made(const struct mapping *mapping)
{
	static const char deleted[] = " (deleted)";
	const size_t length = strlen(mapping->path), tail = sizeof(deleted) - 1;

	switch (layout__kind(mapping)) {
	case LAYOUT_ANONYMOUS:
		return true;
	case LAYOUT_FILE:
	case LAYOUT_SHARED:
		return *mapping->path == '/' &&
		       (length < tail || strcmp(mapping->path + length - tail, deleted) != 0);
	default:
		return false;
	}
}

static int add_part(struct layout_parts *parts, uint64_t start, uint64_t end,
		    const struct mapping *mapping)
{
	if (parts->count == parts->room) {
		const size_t room = parts->room ? 2 * parts->room : FIRST_ROOM;
		struct layout_part *larger =
			reallocarray(parts->items, room, sizeof(*parts->items));

		if (!larger)
			return -ENOMEM;
		parts->items = larger;
		parts->room = room;
	}
	parts->items[parts->count++] = (struct layout_part){start, end, mapping};
	return 0;
}

/*
 * Finds the mapping of now that holds most of an anonymous mapping of before. The kernel does not
 * merge two mappings that both have been written, and mremap(2) fails across two: so the other
 * parts are mapped anew, and become one with this one.
 */
static const struct mapping *find_kept(const struct mapping *before, const struct mappings *now,
				       size_t next)
{
	const struct mapping *kept = NULL;
	uint64_t most = 0;

	for (; next < now->count && now->items[next].start < before->end; next++) {
		const struct mapping *mapping = &now->items[next];
		const uint64_t start =
			mapping->start > before->start ? mapping->start : before->start;
		const uint64_t end = mapping->end < before->end ? mapping->end : before->end;

		if (start >= end || !has_same_backing(before, mapping) || end - start <= most)
			continue;
		most = end - start;
		kept = mapping;
	}
	return kept;
}

/* A slice, which lies in a mapping of the first list, of the second, or of both. */
struct slice {
	uint64_t start, end;
	const struct mapping *before, *now;
};

struct walk {
	const struct mappings *before, *now;
	size_t next_before, next_now;
	uint64_t at;
	const struct mapping *kept_for, *kept; /* find_kept() of that mapping */
};

/* The first mapping of a list that ends above at. */
static const struct mapping *first_above(const struct mappings *list, size_t *next, uint64_t at)
{
	while (*next < list->count && list->items[*next].end <= at)
		(*next)++;
	return *next < list->count ? &list->items[*next] : NULL;
}

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The end of the slice that begins at at, as far as this mapping says. */
static uint64_t edge(const struct mapping *mapping, uint64_t at)
{
	if (!mapping)
		return UINT64_MAX;
	return mapping->start > at ? mapping->start : mapping->end;
}

/* The next slice that lies in one of both lists. */
static bool next_slice(struct walk *walk, struct slice *ret)
{
	const struct mapping *before = first_above(walk->before, &walk->next_before, walk->at);
	const struct mapping *now = first_above(walk->now, &walk->next_now, walk->at);
	const uint64_t start =
		min(before ? before->start : UINT64_MAX, now ? now->start : UINT64_MAX);

	if (!before && !now)
		return false;
	if (start > walk->at)
		walk->at = start;
	ret->start = walk->at;
	ret->end = min(edge(before, walk->at), edge(now, walk->at));
	ret->before = before && before->start <= walk->at ? before : NULL;
	ret->now = now && now->start <= walk->at ? now : NULL;
	walk->at = ret->end;
	return true;
}

/* Does the slice remain what it is, but for its rights? */
static bool is_kept(struct walk *walk, const struct slice *slice)
{
	const struct mapping *before = slice->before, *now = slice->now;

	if (!before || !now || !has_same_backing(before, now))
		return false;
	if (layout__kind(before) != LAYOUT_ANONYMOUS)
		return true;
	if (walk->kept_for != before) {
		walk->kept_for = before;
		walk->kept = find_kept(before, walk->now, walk->next_now);
	}
	return walk->kept == now;
}

static int add_slice(struct walk *walk, struct layout_change *change, const struct slice *slice,
		     const struct mapping **ret_gone)
{
	const struct mapping *before = slice->before, *now = slice->now;
	int err = 0;

	if (is_kept(walk, slice))
		return has_same_rights(before, now) || layout__kind(now) == LAYOUT_KERNEL
			       ? 0
			       : add_part(&change->protect, slice->start, slice->end, before);
	if (now && layout__kind(now) == LAYOUT_KERNEL && !before)
		return 0;
	if (before && (!can_be_made(before) || (now && layout__kind(now) == LAYOUT_KERNEL))) {
		*ret_gone = before;
		return -REASON_MEMORY_GONE;
	}
	if (now)
		err = intervals__add(&change->unmap, slice->start, slice->end);
	if (before && !err)
		err = add_part(&change->map, slice->start, slice->end, before);
	return err;
}

/* The last mapping of the heap, or the first one; NULL if there is none. */
static const struct mapping *find_heap(const struct mappings *mappings, bool last)
{
	const struct mapping *found = NULL;

	for (size_t i = 0; i < mappings->count && (last || !found); i++)
		if (!strcmp(mappings->items[i].path, "[heap]"))
			found = &mappings->items[i];
	return found;
}

static void find_heap_ends(const struct mappings *before, const struct mappings *now,
			   struct layout_change *change)
{
	const struct mapping *heap = find_heap(before, true), *first = find_heap(now, false);

	change->heap_end_now = first ? find_heap(now, true)->end : 0;
	change->heap_end = heap ? heap->end : first ? first->start : 0;
}

static void empty(struct layout_change *change)
{
	intervals__clear(&change->unmap);
	change->map.count = change->protect.count = 0;
}

int layout__compare(const struct mappings *before, const struct mappings *now,
		    struct layout_change *ret, const struct mapping **ret_gone)
{
	struct walk walk = {.before = before, .now = now};
	struct slice slice;
	int err = 0;

	empty(ret);
	find_heap_ends(before, now, ret);
	while (!err && next_slice(&walk, &slice))
		err = add_slice(&walk, ret, &slice, ret_gone);
	return err;
}

bool layout__is_same(const struct layout_change *change)
{
	return !change->unmap.count && !change->map.count && !change->protect.count;
}

static bool has_part_of(const struct layout_parts *parts, const struct mapping *mapping)
{
	for (size_t i = 0; i < parts->count; i++)
		if (parts->items[i].mapping == mapping)
			return true;
	return false;
}

int layout__find_split(const struct mappings *before, const struct mappings *now,
		       const struct layout_change *made, struct layout_change *ret)
{
	size_t next = 0;
	int err = 0;

	empty(ret);
	for (size_t i = 0; i < before->count && !err; i++) {
		const struct mapping *mapping = &before->items[i];
		const struct mapping *there = first_above(now, &next, mapping->start);
		const enum layout_kind kind = layout__kind(mapping);

		if (there && there->end >= mapping->end)
			continue;
		if (kind != LAYOUT_ANONYMOUS &&
		    (kind != LAYOUT_FILE || !has_part_of(&made->map, mapping)))
			continue;
		err = intervals__add(&ret->unmap, mapping->start, mapping->end);
		if (err)
			return err;
		err = add_part(&ret->map, mapping->start, mapping->end, mapping);
	}
	return err;
}

bool layout__covers(const struct mappings *before, const struct mappings *now)
{
	struct walk walk = {.before = before, .now = now};
	struct slice slice;

	while (next_slice(&walk, &slice)) {
		if (!slice.before && layout__kind(slice.now) == LAYOUT_KERNEL)
			continue;
		if (!slice.before || !slice.now || !has_same_backing(slice.before, slice.now) ||
		    !has_same_rights(slice.before, slice.now))
			return false;
	}
	return true;
}

int layout__same(const struct mappings *a, const struct mappings *b, struct intervals *ret_same)
{
	struct walk walk = {.before = a, .now = b};
	struct slice slice;
	int err = 0;

	while (!err && next_slice(&walk, &slice))
		if (slice.before && slice.now && has_same_backing(slice.before, slice.now) &&
		    has_same_rights(slice.before, slice.now))
			err = intervals__add(ret_same, slice.start, slice.end);
	return err;
}

void layout__clear(struct layout_change *change)
{
	empty(change);
	free(change->map.items);
	free(change->protect.items);
	*change = (struct layout_change){0};
}
