/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The pages of an address space at one instant: a radix tree from addresses to pages of a
 * page_store. Trees share what they have in common, down to single pages:
 *
 *	tree A ----> node ----> node <---- node <---- tree B
 *	               |          |          |
 *	             leaf       leaf       leaf
 *
 * Always holds: a node with several parents is never changed, but copied first; no node is empty.
 * So a copy of a tree costs nothing, and a change costs one path, whatever the size.
 */
#ifndef TRACER_STORE_PAGE_TREE_H
#define TRACER_STORE_PAGE_TREE_H

#include <stdint.h>
#include "store/page_store.h"

struct page_node;

struct page_tree {                /* zero but for store: empty */
	struct page_store *store; /* borrowed */
	struct page_node *root;
	uint64_t pages;
};

/* The page at address, which is page-aligned and below 2^56; 0 if there is none. */
uint32_t page_tree__get(const struct page_tree *tree, uint64_t address);

/* Sets the page at address; 0 takes it out. The tree takes the caller's reference to page over.
 * Returns 0, or -ENOMEM: the tree is unchanged, and the reference remains the caller's. */
int page_tree__set(struct page_tree *tree, uint64_t address, uint32_t page);

/* The first page in [start, end), with its address in *ret_address; 0 if there is none. */
uint32_t page_tree__next(const struct page_tree *tree, uint64_t start, uint64_t end,
			 uint64_t *ret_address);

/* Takes out all pages in [start, end). Returns 0, or -ENOMEM: some are left. */
int page_tree__remove(struct page_tree *tree, uint64_t start, uint64_t end);

/* Makes *ret a tree with the same pages. */
void page_tree__share(const struct page_tree *tree, struct page_tree *ret);

/* Calls each, in address order, for every address where a and b have different pages, until it
 * fails. Returns what it returned last, or 0. */
int page_tree__compare(const struct page_tree *a, const struct page_tree *b,
		       int (*each)(uint64_t address, void *argument), void *argument);

/* The bytes that go free when the tree is cleared. */
uint64_t page_tree__own_bytes(const struct page_tree *tree);

/* Empties the tree; harmless on an empty one. */
void page_tree__clear(struct page_tree *tree);

#endif
