/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See diff.h. Only pages that the two checkpoints do not share are compared.
 */
#include "diff/diff.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include "attach/attach_state.h"
#include "attach/file_sources.h"
#include "attach/layout.h"
#include "diff/symbols.h"
#include "base/page.h"
#include "target/reason.h"

struct comparing {
	struct attach *attach;
	struct diff *diff;
	const struct checkpoint *from, *to;
	struct file_sources sources;
	size_t mapping; /* of the page before */
	uint8_t pages[2][PAGE_BYTES];
};

/* ---- mappings ---- */

static bool is_stack_of(const struct mapping *mapping, const struct registers *registers)
{
	return registers->general.rsp - mapping->start < mapping->end - mapping->start;
}

static bool is_program(const struct mappings *mappings, const struct mapping *of)
{
	for (size_t i = 0; i < mappings->count; i++) {
		const struct mapping *mapping = &mappings->items[i];

		if (mapping->inode == of->inode && mapping->dev_major == of->dev_major &&
		    mapping->dev_minor == of->dev_minor && (mapping->flags & MAPPING_EXEC))
			return true;
	}
	return false;
}

/* Memory of no file right behind the data of a program or a library. */
static bool is_bss(const struct checkpoint *of, const struct mapping *mapping)
{
	const struct mapping *below = layout__find(&of->mappings, mapping->start - 1);

	return !*mapping->path && below && layout__kind(below) == LAYOUT_FILE &&
	       (below->flags & MAPPING_WRITE) && is_program(&of->mappings, below);
}

static void label(const struct comparing *c, const struct checkpoint *of, struct diff_mapping *item)
{
	const struct mapping *mapping = &item->mapping;
	const struct threads *threads = &of->threads;
	const char *name = mapping->path;

	if (!strcmp(name, "[heap]"))
		name = "heap";
	else if (!strcmp(name, "[stack]"))
		name = "stack";
	else if (!*name)
		name = "anonymous";
	if (is_bss(of, mapping))
		(void)snprintf(item->label, sizeof(item->label), "bss of %s",
			       layout__find(&of->mappings, mapping->start - 1)->path);
	else
		(void)snprintf(item->label, sizeof(item->label), "%s", name);
	for (size_t i = 0; !mapping->inode && i < threads->count; i++)
		if (threads->items[i].tid != c->attach->process &&
		    is_stack_of(mapping, &of->registers[i])) {
			(void)snprintf(item->label, sizeof(item->label), "stack of thread %d",
				       threads->items[i].tid);
			return;
		}
}

static int add_mapping(struct comparing *c, const struct checkpoint *of,
		       const struct mapping *mapping, enum diff_state state)
{
	struct diff *diff = c->diff;
	struct diff_mapping *larger;

	/* Room grows by powers of two. */
	if (!(diff->mapping_count & (diff->mapping_count - 1))) {
		larger = reallocarray(diff->mappings,
				      diff->mapping_count ? 2 * diff->mapping_count : 1,
				      sizeof(*larger));
		if (!larger)
			return -ENOMEM;
		diff->mappings = larger;
	}
	larger = &diff->mappings[diff->mapping_count++];
	*larger = (struct diff_mapping){.mapping = *mapping, .state = state};
	label(c, of, larger);
	return 0;
}

/* Does a saved mapping of the list overlap this one? */
static bool overlaps(const struct mappings *mappings, const struct mapping *mapping)
{
	for (size_t i = procfs__first_above(mappings, mapping->start);
	     i < mappings->count && mappings->items[i].start < mapping->end; i++)
		if (layout__is_saved(&mappings->items[i]))
			return true;
	return false;
}

static bool holds_pages(const struct page_tree *tree, const struct mapping *mapping)
{
	uint64_t address;

	return page_tree__next(tree, mapping->start, mapping->end, &address) != 0;
}

static int compare_starts(const void *a, const void *b)
{
	const struct diff_mapping *left = a, *right = b;

	return (left->mapping.start > right->mapping.start) -
	       (left->mapping.start < right->mapping.start);
}

/* Lists the mappings of to, and each mapping of from that none of to overlaps. */
static int list_mappings(struct comparing *c)
{
	const struct mappings *before = &c->from->mappings, *after = &c->to->mappings;
	struct diff *diff = c->diff;
	int err = 0;

	for (size_t i = 0; i < after->count && !err; i++) {
		const struct mapping *mapping = &after->items[i];
		const bool is_new = !overlaps(before, mapping);

		if (!layout__is_saved(mapping) ||
		    (!(mapping->flags & (MAPPING_READ | MAPPING_WRITE | MAPPING_EXEC)) &&
		     !holds_pages(&c->to->tree, mapping) && !holds_pages(&c->from->tree, mapping)))
			continue;
		err = add_mapping(c, c->to, mapping, is_new ? DIFF_NEW : DIFF_SAME);
	}
	if (err)
		return err;
	for (size_t i = 0; i < before->count && !err; i++)
		if (layout__is_saved(&before->items[i]) && !overlaps(after, &before->items[i]))
			err = add_mapping(c, c->from, &before->items[i], DIFF_GONE);
	if (err)
		return err;
	if (diff->mapping_count)
		qsort(diff->mappings, diff->mapping_count, sizeof(*diff->mappings), compare_starts);
	return 0;
}

/* ---- cells ---- */

static size_t count_cells(const struct diff *diff)
{
	size_t cells = 0;

	for (size_t i = 0; i < diff->mapping_count; i++) {
		const struct mapping *mapping = &diff->mappings[i].mapping;

		cells += (mapping->end - mapping->start + diff->cell_bytes - 1) / diff->cell_bytes;
	}
	return cells;
}

/* A mapping has at least one cell. */
static int make_cells(struct diff *diff)
{
	const size_t most = diff->mapping_count > DIFF_CELLS ? diff->mapping_count : DIFF_CELLS;
	size_t at = 0;

	for (diff->cell_bytes = DIFF_CHUNK_BYTES; count_cells(diff) > most;)
		diff->cell_bytes *= 2;
	for (size_t i = 0; i < diff->mapping_count; i++) {
		struct diff_mapping *item = &diff->mappings[i];

		item->first_cell = at;
		item->cells = (item->mapping.end - item->mapping.start + diff->cell_bytes - 1) /
			      diff->cell_bytes;
		at += item->cells;
	}
	diff->changed = calloc(at + 1, sizeof(*diff->changed));
	return diff->changed ? 0 : -ENOMEM;
}

/* ---- pages ---- */

/* The bytes of a page at an instant, which may be put in room. NULL: they are not known, for its
 * file is not there any more. */
static const uint8_t *read_page(struct comparing *c, const struct checkpoint *of, uint64_t address,
				uint8_t *room)
{
	const uint32_t page = page_tree__get(&of->tree, address);
	const struct mapping *mapping = layout__find(&of->mappings, address);
	const struct file_source *source;

	if (page)
		return page_store__bytes(of->tree.store, page);
	memset(room, 0, PAGE_BYTES);
	if (!mapping || layout__kind(mapping) != LAYOUT_FILE)
		return room;
	if (file_sources__open(&c->sources, c->attach->pid, mapping))
		return NULL;
	source = file_sources__find(&c->sources, mapping->dev_major, mapping->dev_minor,
				    mapping->inode);
	return file_source__read(source, mapping->offset + (address - mapping->start), room,
				 PAGE_BYTES)
		       ? NULL
		       : room;
}

/* first, last: offsets of changed bytes in the chunk. */
static void add_range(struct diff *diff, uint64_t start, size_t first, size_t last)
{
	struct diff_range *range = diff->range_count ? &diff->ranges[diff->range_count - 1] : NULL;

	if (range && range->end == start && !diff->ranges_left_out) {
		range->end += DIFF_CHUNK_BYTES;
		range->last = start + last;
		return;
	}
	if (diff->range_count == DIFF_RANGES) {
		diff->ranges_left_out++;
		return;
	}
	diff->ranges[diff->range_count++] = (struct diff_range){.start = start,
								.end = start + DIFF_CHUNK_BYTES,
								.first = start + first,
								.last = start + last};
}

/* before, after: chunks that differ; NULL: no byte is known. */
static void add_chunk(struct diff *diff, uint64_t start, const uint8_t *before,
		      const uint8_t *after)
{
	size_t first = 0, last = DIFF_CHUNK_BYTES - 1;

	while (before && after && before[first] == after[first])
		first++;
	while (before && after && before[last] == after[last])
		last--;
	add_range(diff, start, first, last);
}

static int compare_page(uint64_t address, void *argument)
{
	struct comparing *c = argument;
	struct diff *diff = c->diff;
	const uint8_t *before = read_page(c, c->from, address, c->pages[0]);
	const uint8_t *after = read_page(c, c->to, address, c->pages[1]);
	struct diff_mapping *item;
	uint64_t bytes = 0;

	while (c->mapping < diff->mapping_count &&
	       diff->mappings[c->mapping].mapping.end <= address)
		c->mapping++;
	item = &diff->mappings[c->mapping];
	/* What is left of a mapping that has shrunk is in none. */
	if (c->mapping == diff->mapping_count || item->mapping.start > address)
		return 0;
	for (size_t at = 0; at < PAGE_BYTES; at += DIFF_CHUNK_BYTES) {
		if (before && after && !memcmp(before + at, after + at, DIFF_CHUNK_BYTES))
			continue;
		add_chunk(diff, address + at, before ? before + at : NULL,
			  after ? after + at : NULL);
		diff->changed[item->first_cell +
			      (address + at - item->mapping.start) / diff->cell_bytes]++;
		bytes += DIFF_CHUNK_BYTES;
	}
	item->bytes += bytes;
	item->pages += bytes > 0;
	diff->bytes += bytes;
	diff->pages += bytes > 0;
	return 0;
}

static void name_ranges(struct comparing *c)
{
	struct symbols *symbols = symbols__create(c->attach->pid, &c->to->mappings, &c->sources);
	struct diff *diff = c->diff;

	for (size_t i = 0; symbols && i < diff->range_count; i++)
		symbols__name(symbols, diff->ranges[i].start, diff->ranges[i].first,
			      diff->ranges[i].last, diff->ranges[i].symbol,
			      sizeof(diff->ranges[i].symbol));
	symbols__free(symbols);
}

static int compare(struct comparing *c)
{
	int err = list_mappings(c);

	if (err)
		return err;
	err = make_cells(c->diff);
	if (err)
		return err;
	err = page_tree__compare(&c->from->tree, &c->to->tree, compare_page, c);
	if (err)
		return err;
	name_ranges(c);
	return 0;
}

/* The paths of mappings belong to the checkpoints. */
static void keep_mappings(struct diff *diff)
{
	const bool is_full = diff->mapping_count > DIFF_MAPPINGS;
	struct diff_mapping *to = diff->mappings;

	for (size_t i = 0; i < diff->mapping_count; i++) {
		struct diff_mapping *item = &diff->mappings[i];
		bool is_same;

		item->mapping.path = NULL;
		is_same = !item->bytes && item->state == DIFF_SAME;
		if ((is_full && is_same) || to == diff->mappings + DIFF_MAPPINGS)
			diff->mappings_left_out++;
		else
			*to++ = *item;
	}
	diff->mapping_count = (size_t)(to - diff->mappings);
}

static int look_now(struct attach *attach, struct checkpoint **ret_now, uint64_t *ret_stop_ns)
{
	int err = attach_state__stop(attach, false);

	if (err)
		return err;
	err = attach_state__take_unlisted(attach, ret_now);
	freeze__release(attach->freeze);
	*ret_stop_ns = freeze__stop_ns(attach->freeze);
	return err;
}

int diff__compare(struct attach *attach, const char *from, const char *to, struct diff **ret_diff)
{
	struct comparing c = {.attach = attach};
	struct checkpoint *now = NULL;
	int err = 0;

	*attach->detail = '\0';
	c.from = checkpoints__find(&attach->list, from);
	c.to = to ? checkpoints__find(&attach->list, to) : NULL;
	if (!c.from || (to && !c.to))
		return from || to ? -REASON_UNKNOWN_NAME : -REASON_NO_CHECKPOINT;
	c.diff = calloc(1, sizeof(*c.diff));
	if (!c.diff)
		return -ENOMEM;
	(void)snprintf(c.diff->from, sizeof(c.diff->from), "%s", c.from->name);
	if (to)
		(void)snprintf(c.diff->to, sizeof(c.diff->to), "%s", to);
	else
		err = look_now(attach, &now, &c.diff->stop_ns);
	if (err)
		goto out;
	if (!to)
		c.to = now;
	err = compare(&c);
	if (err)
		goto out;
	keep_mappings(c.diff);
out:
	attach_state__drop_unlisted(attach, now);
	file_sources__clear(&c.sources);
	if (err)
		diff__free(c.diff);
	else
		*ret_diff = c.diff;
	return attach_state__cause(attach, err);
}

void diff__free(struct diff *diff)
{
	if (!diff)
		return;
	free(diff->changed);
	free(diff->mappings);
	free(diff);
}
