/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See rollback_pages.h.
 */
#include "attach/rollback_pages.h"

#include <errno.h>
#include <linux/rseq.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>
#include "attach/layout.h"
#include "attach/remake.h"
#include "base/page.h"
#include "target/reason.h"

enum {
	MANY_PAGES = 64, /* of zeros: they are discarded, not written */
	MANY_TAILS = 64, /* struct tails */
};

static int add_page(uint64_t address, void *argument)
{
	return intervals__add(argument, address, address + PAGE_BYTES);
}

/* Takes out what does not lie in the saved mappings of the checkpoint. */
static int limit_to_saved(const struct rollback_pages *p, struct intervals *pages)
{
	struct intervals rest = {0};
	int err = intervals__intersect(pages, &p->to->ranges.saved, &rest);

	intervals__clear(pages);
	*pages = rest;
	return err;
}

/* Finds W and C, both still with what belongs to the other. */
static int find_pages(struct rollback_pages *p, const struct intervals *fresh)
{
	struct attach *attach = p->attach;
	struct intervals different = {0}, clear = {0};
	int err = 0;

	if (attach->base)
		err = page_tree__compare(&attach->base->tree, &p->to->tree, add_page, &different);
	if (err)
		goto out;
	err = intervals__copy(&attach->changes.written, &p->write);
	if (err)
		goto out;
	err = intervals__unite(&p->write, &different);
	if (err)
		goto out;
	err = intervals__unite(&p->write, fresh);
	if (err)
		goto out;
	err = limit_to_saved(p, &p->write);
	if (err)
		goto out;
	err = intervals__copy(&attach->changes.data, &clear);
	if (err)
		goto out;
	err = intervals__unite(&clear, &different);
	if (err)
		goto out;
	err = intervals__subtract(&clear, fresh, &p->clear);
	if (err)
		goto out;
	err = limit_to_saved(p, &p->clear);
	if (err)
		goto out;
	intervals__clear(&clear);
	clear = p->clear;
	p->clear = (struct intervals){0};
	err = intervals__subtract(&clear, &p->to->guards, &p->clear);
out:
	intervals__clear(&different);
	intervals__clear(&clear);
	return err;
}

/* Finds U and G. */
static int find_guards(struct rollback_pages *p, const struct intervals *fresh)
{
	struct intervals now = {0};
	int err = intervals__subtract(&p->attach->changes.guards, fresh, &now);

	if (err)
		goto out;
	err = intervals__subtract(&p->to->guards, &now, &p->guard);
	if (err)
		goto out;
	err = intervals__subtract(&now, &p->to->guards, &p->unguard);
	if (err)
		goto out;
	err = limit_to_saved(p, &p->unguard);
out:
	intervals__clear(&now);
	return err;
}

static int write_page(struct rollback_pages *p, uint64_t address, uint8_t *bytes)
{
	int err = intervals__add(&p->touched, address, address + PAGE_BYTES);

	p->count++;
	return err ? err : write_batch__add(&p->batch, bytes, address, PAGE_BYTES);
}

static int add_saved(struct rollback_pages *p, const struct interval *range)
{
	const struct page_tree *tree = &p->to->tree;
	uint64_t address = 0;
	uint32_t page;
	int err = 0;

	for (uint64_t at = range->start;
	     !err && (page = page_tree__next(tree, at, range->end, &address));
	     at = address + PAGE_BYTES)
		err = write_page(p, address, page_store__bytes(tree->store, page));
	return err;
}

int rollback_pages__add(struct rollback_pages *p, const struct intervals *ranges)
{
	struct intervals guards = {0};
	int err = intervals__intersect(&p->to->guards, ranges, &guards);

	if (err)
		goto out;
	err = intervals__unite(&p->guard, &guards);
	if (err)
		goto out;
	for (size_t i = 0; i < ranges->count && !err; i++)
		err = add_saved(p, &ranges->items[i]);
out:
	intervals__clear(&guards);
	return err;
}

/* Clears [start, end), which has no saved page. */
static int add_clear(struct rollback_pages *p, uint64_t start, uint64_t end)
{
	int err = 0;

	while (start < end && !err) {
		const struct mapping *mapping = layout__find(&p->to->mappings, start);
		const uint64_t stop = mapping->end < end ? mapping->end : end;

		if (layout__kind(mapping) == LAYOUT_FILE || stop - start >= MANY_PAGES * PAGE_BYTES)
			err = intervals__add(&p->discard, start, stop);
		else
			for (uint64_t at = start; at < stop && !err; at += PAGE_BYTES)
				err = write_page(p, at, p->zeros);
		start = stop;
	}
	return err;
}

static int add_cleared(struct rollback_pages *p, const struct interval *range)
{
	uint64_t at = range->start, address;
	int err = 0;

	while (at < range->end && !err) {
		if (!page_tree__next(&p->to->tree, at, range->end, &address))
			address = range->end;
		err = add_clear(p, at, address);
		at = address + PAGE_BYTES;
	}
	return err;
}

static int list_pages(struct rollback_pages *p, const struct intervals *fresh)
{
	int err = find_pages(p, fresh);

	if (err)
		return err;
	err = find_guards(p, fresh);
	if (err)
		return err;
	for (size_t i = 0; i < p->write.count && !err; i++)
		err = add_saved(p, &p->write.items[i]);
	if (err)
		return err;
	for (size_t i = 0; i < p->clear.count && !err; i++)
		err = add_cleared(p, &p->clear.items[i]);
	return err;
}

/* The last page of [start, end) that is written; 0 if none is. */
static uint64_t last_touched(const struct rollback_pages *p, uint64_t start, uint64_t end)
{
	size_t first = 0, stop = p->touched.count;

	while (first < stop) {
		const size_t middle = first + (stop - first) / 2;

		if (p->touched.items[middle].start < end)
			first = middle + 1;
		else
			stop = middle;
	}
	if (!first || p->touched.items[first - 1].end <= start)
		return 0;
	return page__start(
		(p->touched.items[first - 1].end < end ? p->touched.items[first - 1].end : end) -
		1);
}

/* Mappings of files with the address of the last page that is written to each. */
struct tails {
	const struct mapping *mappings[MANY_TAILS];
	struct iovec addresses[MANY_TAILS];
	size_t count;
};

static int refuse_cut(const struct rollback_pages *p, const struct mapping *mapping)
{
	(void)snprintf(p->attach->detail, sizeof(p->attach->detail), "%s", mapping->path);
	return -REASON_FILE_CUT;
}

/* If a file is truncated, its mappings lose the pages behind its end, written ones too. One
 * system call reads them all. Those that the process itself may not read are read again. */
static int check_tails(const struct rollback_pages *p, struct tails *tails)
{
	const size_t count = tails->count;
	struct iovec into[MANY_TAILS];
	char bytes[MANY_TAILS];
	int err;

	tails->count = 0;
	for (size_t i = 0; i < count; i++)
		into[i] = (struct iovec){&bytes[i], 1};
	err = memory__read_each(p->attach->memory, into, tails->addresses, count);
	for (size_t i = 0; i < count && !err; i++)
		if (!into[i].iov_len && pread(p->attach->mem_fd, &bytes[i], 1,
					      (off_t)(uintptr_t)tails->addresses[i].iov_base) != 1)
			err = refuse_cut(p, tails->mappings[i]);
	return err;
}

/* Does the page, which is not there to be read, lie in the file? */
static bool has_place(const struct rollback_pages *p, const struct mapping *mapping,
		      uint64_t address)
{
	uint64_t bytes;

	return remake__file_bytes(p->attach->pid, mapping, &bytes) ||
	       address - mapping->start + mapping->offset < bytes;
}

int rollback_pages__check_files(const struct rollback_pages *p, const struct mappings *now,
				const struct intervals *fresh)
{
	const struct mappings *then = &p->to->mappings;
	struct tails tails = {.count = 0};
	int err = 0;

	for (size_t i = 0; i < then->count && !err; i++) {
		const struct mapping *mapping = &then->items[i];
		const uint64_t last = layout__kind(mapping) == LAYOUT_FILE
					      ? last_touched(p, mapping->start, mapping->end)
					      : 0;

		if (!last)
			continue;
		if (intervals__find(fresh, last) || !layout__find(now, last) ||
		    intervals__find(&p->attach->changes.guards, last)) {
			err = has_place(p, mapping, last) ? 0 : refuse_cut(p, mapping);
			continue;
		}
		tails.mappings[tails.count] = mapping;
		tails.addresses[tails.count++] = (struct iovec){(void *)(uintptr_t)last, 1};
		if (tails.count == MANY_TAILS)
			err = check_tails(p, &tails);
	}
	return err ? err : check_tails(p, &tails);
}

/* The bytes of a thread's area that are the kernel's. 0: it has none. */
static size_t area_bytes(const struct registered *registered)
{
	if (!registered->rseq)
		return 0;
	return registered->rseq_bytes < sizeof(struct rseq) ? registered->rseq_bytes
							    : sizeof(struct rseq);
}

/*
 * The kernel writes to the area of rseq(2) when it moves a thread to another processor. So what is
 * there stays, but for the sequence that the thread was in (registers__leave_sequence).
 */
static int leave_rseq(struct rollback_pages *p)
{
	const struct checkpoint *to = p->to;
	int err = 0;

	for (size_t i = 0; i < to->threads.count && !err; i++) {
		const uint64_t area = to->registered[i].rseq;
		const size_t bytes = area_bytes(&to->registered[i]);

		if (!bytes || !intervals__find(&p->touched, area))
			continue;
		err = write_batch__leave_out(&p->batch, area, bytes);
		if (!err)
			err = write_batch__add(&p->batch, p->zeros,
					       area + offsetof(struct rseq, rseq_cs),
					       sizeof(((struct rseq *)NULL)->rseq_cs));
	}
	return err;
}

/* The same where an area may be mapped again: it is read, and written after its page. */
static int keep_rseq(struct rollback_pages *p)
{
	const struct checkpoint *to = p->to;
	int err = 0;

	p->areas = calloc(to->threads.count, sizeof(*p->areas));
	p->area_local = calloc(to->threads.count, sizeof(*p->area_local));
	p->area_remote = calloc(to->threads.count, sizeof(*p->area_remote));
	if (!p->areas || !p->area_local || !p->area_remote)
		return -ENOMEM;
	for (size_t i = 0; i < to->threads.count; i++) {
		const size_t bytes = area_bytes(&to->registered[i]);

		if (!bytes)
			continue;
		p->area_local[p->area_count] = (struct iovec){&p->areas[i], bytes};
		p->area_remote[p->area_count++] =
			(struct iovec){(void *)(uintptr_t)to->registered[i].rseq, bytes};
	}
	if (p->area_count)
		err = memory__read_each(p->attach->memory, p->area_local, p->area_remote,
					p->area_count);
	for (size_t i = 0; i < to->threads.count; i++)
		p->areas[i].rseq_cs = 0;
	return err;
}

static int add_rseq(struct rollback_pages *p)
{
	int err = 0;

	for (size_t i = 0; i < p->area_count && !err; i++) {
		const struct iovec *local = &p->area_local[i];
		const uint64_t address = (uintptr_t)p->area_remote[i].iov_base;

		/* a page that is not there yet has no area */
		if (local->iov_len && intervals__find(&p->touched, address))
			err = write_batch__add(&p->batch, local->iov_base, address, local->iov_len);
	}
	return err;
}

int rollback_pages__write(struct rollback_pages *p)
{
	uint64_t bytes, forced, failed;
	int err = add_rseq(p);

	return err ? err
		   : write_batch__write(&p->batch, p->attach->memory, &bytes, &forced, &failed);
}

int rollback_pages__find(struct rollback_pages *p, struct attach *attach, struct checkpoint *to,
			 const struct layout_change *change, const struct intervals *fresh)
{
	int err;

	p->attach = attach;
	p->to = to;
	p->zeros = calloc(1, PAGE_BYTES);
	if (!p->zeros)
		return -ENOMEM;
	err = list_pages(p, fresh);
	if (err)
		return err;
	return layout__is_same(change) ? leave_rseq(p) : keep_rseq(p);
}

void rollback_pages__clear(struct rollback_pages *p)
{
	free(p->areas);
	free(p->area_local);
	free(p->area_remote);
	free(p->zeros);
	intervals__clear(&p->write);
	intervals__clear(&p->clear);
	intervals__clear(&p->discard);
	intervals__clear(&p->touched);
	intervals__clear(&p->unguard);
	intervals__clear(&p->guard);
	write_batch__clear(&p->batch);
	*p = (struct rollback_pages){0};
}
