/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See dense_blocks.h.
 *
 * A block is dense if most of some sample pages held data. Where its witness is gone, the whole
 * block may have changed.
 */
#include "attach/dense_blocks.h"

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

/* Adds the blocks whose page table may be gone. Returns 0; -ENOMEM; or -EOPNOTSUPP: the kernel does
 * not say. */
static int add_gone(const struct dense_blocks *b, pid_t pid, struct intervals *changed)
{
	int nodes[ASKED_TOGETHER];
	int err = 0;

	for (size_t done = 0, count; done < b->count && !err; done += count) {
		count = b->count - done < ASKED_TOGETHER ? b->count - done : ASKED_TOGETHER;
		/* Without nodes to move them to, it says where pages are, and moves none. */
		if (syscall(SYS_move_pages, pid, count, &b->witnesses[done], NULL, nodes, 0))
			return -EOPNOTSUPP;
		for (size_t i = 0; i < count && !err; i++) {
			const uint64_t block =
				(uintptr_t)b->witnesses[done + i] / BLOCK_BYTES * BLOCK_BYTES;

			if (nodes[i] < 0)
				err = intervals__add(changed, block, block + BLOCK_BYTES);
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
	struct interval last = {range->start, range->start};
	struct pagemap_run run;
	int err, more;

	pagemap__begin_written(pagemap, range->start, range->end);
	pagemap->room = RUNS;
	while ((more = pagemap__next(pagemap, &run)) > 0) {
		if (run.start - last.end > GAP_BYTES) {
			err = intervals__add(changed, last.start, last.end);
			if (err)
				return err;
			last.start = run.start;
		}
		last.end = run.end;
	}
	err = intervals__add(changed, last.start, last.end);
	return err ? err : more;
}

int dense_blocks__find_clean(const struct dense_blocks *b, pid_t pid, struct pagemap *pagemap,
			     struct intervals *ret_clean)
{
	struct intervals changed = {0};
	int err = 0;

	intervals__clear(ret_clean);
	err = add_gone(b, pid, &changed);
	if (err)
		goto out;
	for (size_t i = 0; i < b->ranges.count && !err; i++) {
		err = add_untracked(pagemap, &b->ranges.items[i], &changed);
		if (!err)
			err = add_written(pagemap, &b->ranges.items[i], &changed);
	}
	if (err)
		goto out;
	err = intervals__subtract(&b->ranges, &changed, ret_clean);
out:
	intervals__clear(&changed);
	return err == -EOPNOTSUPP ? 0 : err;
}

void dense_blocks__clear(struct dense_blocks *b)
{
	intervals__clear(&b->ranges);
	free(b->witnesses);
	*b = (struct dense_blocks){0};
}
