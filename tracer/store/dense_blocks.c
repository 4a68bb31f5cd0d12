/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See dense_blocks.h.
 *
 * A block is dense if most of some sample pages held data. Where its witness is gone, the whole
 * block may have changed.
 */
#include "store/dense_blocks.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/page.h"

enum {
	BLOCK_BYTES = 2 << 20,
	SAMPLES = 16,            /* pages of a block that are looked up */
	DENSE_SAMPLES = 12,      /* so many of them must have held data */
	ASKED_TOGETHER = 512,    /* witnesses */
	PARTS = 8,               /* of the work of two threads */
	RUNS = 64,               /* the kernel allocates memory for them */
	GAP_BYTES = BLOCK_BYTES, /* to look at all pages of a gap is as fast as another call */
};

/* The page that can be the witness of a block; 0 if the block is not dense. */
static uint64_t find_witness(const struct page_tree *tree, uint64_t block)
{
	uint64_t witness = 0;
	int found = 0;

	for (uint64_t i = 0; i < SAMPLES; i++) {
		const uint64_t page = block + i * (BLOCK_BYTES / SAMPLES);

		if (!page_tree__get(tree, page))
			continue;
		witness = page;
		found++;
	}
	return found >= DENSE_SAMPLES ? witness : 0;
}

/* Adds the dense blocks of a range. Passes over what never held data: it may be terabytes. */
static int add_range(struct dense_blocks *b, const struct page_tree *tree,
		     const struct interval *range)
{
	uint64_t block = (range->start + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES, page;
	int err = 0;

	for (; !err && page_tree__next(tree, block, range->end, &page); block += BLOCK_BYTES) {
		uint64_t witness;

		block = page / BLOCK_BYTES * BLOCK_BYTES;
		if (block + BLOCK_BYTES > range->end)
			break;
		witness = find_witness(tree, block);
		if (!witness)
			continue;
		b->witnesses[b->count++] = (void *)(uintptr_t)witness;
		err = intervals__add(&b->ranges, block, block + BLOCK_BYTES);
	}
	return err;
}

int dense_blocks__choose(struct dense_blocks *b, const struct page_tree *tree,
			 const struct intervals *ranges)
{
	int err = 0;

	b->witnesses = malloc((tree->pages / DENSE_SAMPLES + 1) * sizeof(*b->witnesses));
	if (!b->witnesses)
		return -ENOMEM;
	for (size_t i = 0; i < ranges->count && !err; i++)
		err = add_range(b, tree, &ranges->items[i]);
	if (err)
		dense_blocks__clear(b);
	return err;
}

/* A part of the blocks, for one of two threads. */
struct part {
	size_t first, last; /* witnesses, those of [start, end) */
	uint64_t start, end;
	struct intervals changed;
	int err;
};

struct scan {
	const struct dense_blocks *blocks;
	pid_t pid;
	struct pagemap *pagemaps[2]; /* of each thread */
	struct part parts[PARTS];
};

static uint64_t block_of(const struct dense_blocks *b, size_t witness)
{
	return (uintptr_t)b->witnesses[witness] / BLOCK_BYTES * BLOCK_BYTES;
}

/* Adds the blocks whose page table may be gone. Returns 0; -ENOMEM; or -EOPNOTSUPP: the kernel does
 * not say. */
static int add_gone(const struct scan *scan, struct part *part)
{
	const struct dense_blocks *b = scan->blocks;
	int nodes[ASKED_TOGETHER];
	int err = 0;

	for (size_t done = part->first, count; done < part->last && !err; done += count) {
		count = part->last - done < ASKED_TOGETHER ? part->last - done : ASKED_TOGETHER;
		/* Without nodes to move them to, it says where pages are, and moves none. */
		if (syscall(SYS_move_pages, scan->pid, count, &b->witnesses[done], NULL, nodes, 0))
			return -EOPNOTSUPP;
		for (size_t i = 0; i < count && !err; i++) {
			const uint64_t block = block_of(b, done + i);

			if (nodes[i] < 0)
				err = intervals__add(&part->changed, block, block + BLOCK_BYTES);
		}
	}
	return err;
}

/* Adds mappings that are not armed: their pages may look clean if somebody else has armed them. The
 * kernel passes over the others at once. */
static int add_untracked(struct pagemap *pagemap, const struct interval *range,
			 struct intervals *changed)
{
	struct pagemap_run run;
	int err = 0, more;

	pagemap__begin_any(pagemap, range->start, range->end, PAGEMAP_TRACKED, 0, 0);
	pagemap->required = PAGEMAP_TRACKED;
	while ((more = pagemap__next(pagemap, &run)) > 0 && !err)
		err = intervals__add(changed, run.start, run.end);
	return err ? err : more;
}

/* Adds what the walk returns, and the gaps between that are not worth a call. */
static int add_written(struct pagemap *pagemap, const struct interval *range,
		       struct intervals *changed)
{
	struct interval last = {0};
	struct pagemap_run run;
	int err = 0, more;

	pagemap__begin_written(pagemap, range->start, range->end);
	pagemap->room = RUNS;
	while ((more = pagemap__next(pagemap, &run)) > 0 && !err) {
		if (last.end && run.start - last.end <= GAP_BYTES) {
			last.end = run.end;
			continue;
		}
		if (last.end)
			err = intervals__add(changed, last.start, last.end);
		last = (struct interval){run.start, run.end};
	}
	if (!err && last.end)
		err = intervals__add(changed, last.start, last.end);
	return err ? err : more;
}

static void look_at_part(void *argument, size_t number, unsigned int thread)
{
	struct scan *scan = argument;
	struct part *part = &scan->parts[number];
	const struct intervals *ranges = &scan->blocks->ranges;
	int err = add_gone(scan, part);

	for (size_t i = 0; i < ranges->count && !err; i++) {
		struct interval range = ranges->items[i];

		if (range.start < part->start)
			range.start = part->start;
		if (range.end > part->end)
			range.end = part->end;
		if (range.start >= range.end)
			continue;
		err = add_untracked(scan->pagemaps[thread], &range, &part->changed);
		if (!err)
			err = add_written(scan->pagemaps[thread], &range, &part->changed);
	}
	part->err = err;
}

/* All parts have the same number of blocks, or one more. */
static void divide(struct scan *scan)
{
	const size_t count = scan->blocks->count;

	for (size_t i = 0; i < PARTS; i++) {
		struct part *part = &scan->parts[i];

		part->first = count * i / PARTS;
		part->last = count * (i + 1) / PARTS;
		part->start = i ? scan->parts[i - 1].end : 0;
		part->end = part->last < count ? block_of(scan->blocks, part->last) : UINT64_MAX;
	}
}

int dense_blocks__find_clean(const struct dense_blocks *b, pid_t pid, struct pagemap *pagemap,
			     struct second_thread *second, struct pagemap *second_pagemap,
			     struct intervals *ret_clean)
{
	struct scan scan = {.blocks = b, .pid = pid, .pagemaps = {pagemap, second_pagemap}};
	struct intervals changed = {0};
	int err = 0;

	intervals__clear(ret_clean);
	if (!b->count)
		return 0;
	divide(&scan);
	second_thread__share(second, PARTS, look_at_part, &scan);
	for (size_t i = 0; i < PARTS && !err; i++) {
		err = scan.parts[i].err;
		if (!err)
			err = intervals__unite(&changed, &scan.parts[i].changed);
	}
	if (err)
		goto out;
	err = intervals__subtract(&b->ranges, &changed, ret_clean);
out:
	for (size_t i = 0; i < PARTS; i++)
		intervals__clear(&scan.parts[i].changed);
	intervals__clear(&changed);
	return err == -EOPNOTSUPP ? 0 : err;
}

void dense_blocks__clear(struct dense_blocks *b)
{
	intervals__clear(&b->ranges);
	free(b->witnesses);
	*b = (struct dense_blocks){0};
}
