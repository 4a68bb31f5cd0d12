/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Copies pages of a process that stands still into a tree.
 */
#ifndef TRACER_ATTACH_COPY_H
#define TRACER_ATTACH_COPY_H

#include "store/page_tree.h"
#include "base/intervals.h"
#include "target/memory.h"

/*
 * Copies the pages in ranges from the process to tree. Pages of zeros are removed from tree, except
 * those in zeros. Pages that have not changed stay shared with other trees.
 * *ret_pages: how many are new in tree. Returns 0; -ENOMEM; -ESRCH; or another -errno: some pages
 * are then as before.
 */
int copy__pages(struct memory *memory, const struct intervals *ranges,
		const struct intervals *zeros, struct page_tree *tree, uint64_t *ret_pages);

#endif
