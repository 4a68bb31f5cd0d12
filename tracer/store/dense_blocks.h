/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Blocks of 2 MiB, the reach of a page table, that held data in most of their pages at a
 * checkpoint. A scan asks there for written pages only: of all questions, the kernel answers this
 * one fastest (pagemap__begin_written). That walk says nothing of a page table that is gone.
 * So one page of each block is a witness: while it is there, so is the table.
 */
#ifndef TRACER_STORE_DENSE_BLOCKS_H
#define TRACER_STORE_DENSE_BLOCKS_H

#include <stddef.h>
#include <sys/types.h>

#include "store/page_tree.h"
#include "store/second_thread.h"
#include "base/intervals.h"
#include "pages/pagemap.h"

struct dense_blocks { /* zero-initialised: none */
	struct intervals ranges;
	void **witnesses; /* an address in each block */
	size_t count;
};

/* Chooses those of the ranges. tree: the pages that held data, without pages of zeros. blocks:
 * empty. Returns 0, or -ENOMEM: there are none. */
int dense_blocks__choose(struct dense_blocks *blocks, const struct page_tree *tree,
			 const struct intervals *ranges);

/* From so many blocks on, a second thread makes the next call faster. */
enum { DENSE_BLOCKS_SHARED = 32 };

/*
 * Finds pages of the blocks that have not changed since they were armed (pages/write_tracking.h).
 * Others may be unchanged, too. pid: the process, which stands still, and whose pages are armed;
 * pagemap: of it. second: shares the work, with a pagemap of its own; or NULL, both.
 * ret_clean: its old content is dropped.
 * Returns 0; -ENOMEM; or another -errno of the scan: *ret_clean is then of no use.
 */
int dense_blocks__find_clean(const struct dense_blocks *blocks, pid_t pid, struct pagemap *pagemap,
			     struct second_thread *second, struct pagemap *second_pagemap,
			     struct intervals *ret_clean);

/* Frees what it holds and empties it; harmless on an empty one. */
void dense_blocks__clear(struct dense_blocks *blocks);

#endif
