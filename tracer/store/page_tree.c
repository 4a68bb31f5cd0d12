/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See page_tree.h. Each level takes four bits of the number of a page. Level 0 is that of leaves.
 */
#include "store/page_tree.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "base/page.h"

enum {
	BITS = 4,
	WIDTH = 1 << BITS,
	TOP = 10, /* the level of the root: addresses of 56 bits */
	PAGE_BITS = 12,
};

struct page_node {
	uint32_t references; /* parents, or trees */
	union {
		struct page_node *children[WIDTH];
		uint32_t pages[WIDTH]; /* a leaf ends here */
	};
};

static size_t node_bytes(int level)
{
	return level ? sizeof(struct page_node)
		     : offsetof(struct page_node, pages) + sizeof(uint32_t[WIDTH]);
}

static unsigned int index_at(uint64_t address, int level)
{
	return (unsigned int)(address >> (PAGE_BITS + BITS * level)) % WIDTH;
}

/* How many bytes of addresses an entry of that level stands for. */
static uint64_t span_of(int level)
{
	return 1ULL << (PAGE_BITS + BITS * level);
}

static void drop(struct page_store *store, struct page_node *node, int level)
{
	if (!node || --node->references)
		return;
	for (unsigned int i = 0; i < WIDTH; i++) {
		if (level)
			drop(store, node->children[i], level - 1);
		else
			page_store__drop(store, node->pages[i]);
	}
	free(node);
}

/* Makes *node one that may be changed. */
static int own(struct page_store *store, struct page_node **node, int level)
{
	struct page_node *old = *node, *copy;

	if (old && old->references == 1)
		return 0;
	copy = calloc(1, node_bytes(level));
	if (!copy)
		return -ENOMEM;
	if (old)
		memcpy(copy, old, node_bytes(level));
	copy->references = 1;
	for (unsigned int i = 0; i < WIDTH; i++) {
		if (level && copy->children[i])
			copy->children[i]->references++;
		else if (!level && copy->pages[i])
			page_store__hold(store, copy->pages[i]);
	}
	drop(store, old, level);
	*node = copy;
	return 0;
}

static bool is_empty(const struct page_node *node, int level)
{
	for (unsigned int i = 0; i < WIDTH; i++)
		if (level ? node->children[i] != NULL : node->pages[i] != 0)
			return false;
	return true;
}

/* Frees a node that has become empty. */
static void prune(struct page_node **node, int level)
{
	if (!*node || (*node)->references > 1 || !is_empty(*node, level))
		return;
	free(*node);
	*node = NULL;
}

uint32_t page_tree__get(const struct page_tree *tree, uint64_t address)
{
	const struct page_node *node = tree->root;

	for (int level = TOP; node && level; level--)
		node = node->children[index_at(address, level)];
	return node ? node->pages[index_at(address, 0)] : 0;
}

static int set(struct page_store *store, struct page_node **node, int level, uint64_t address,
	       uint32_t page)
{
	const unsigned int index = index_at(address, level);
	int err = own(store, node, level);

	if (err)
		return err;
	if (level) {
		err = set(store, &(*node)->children[index], level - 1, address, page);
	} else {
		page_store__drop(store, (*node)->pages[index]);
		(*node)->pages[index] = page;
	}
	prune(node, level);
	return err;
}

int page_tree__set(struct page_tree *tree, uint64_t address, uint32_t page)
{
	const uint32_t before = page_tree__get(tree, address);
	int err;

	if (!before && !page)
		return 0;
	err = set(tree->store, &tree->root, TOP, address, page);
	if (err)
		return err;
	tree->pages += !!page;
	tree->pages -= !!before;
	return 0;
}

/* Below node, whose addresses begin at base. */
static uint32_t next(const struct page_node *node, int level, uint64_t base, uint64_t start,
		     uint64_t end, uint64_t *ret_address)
{
	const uint64_t span = span_of(level);

	for (unsigned int i = start > base ? (unsigned int)((start - base) / span) : 0; i < WIDTH;
	     i++) {
		const uint64_t address = base + i * span;
		uint32_t page;

		if (address >= end)
			return 0;
		if (!level && node->pages[i]) {
			*ret_address = address;
			return node->pages[i];
		}
		if (!level || !node->children[i])
			continue;
		page = next(node->children[i], level - 1, address, start, end, ret_address);
		if (page)
			return page;
	}
	return 0;
}

uint32_t page_tree__next(const struct page_tree *tree, uint64_t start, uint64_t end,
			 uint64_t *ret_address)
{
	return tree->root ? next(tree->root, TOP, 0, start, end, ret_address) : 0;
}

int page_tree__remove(struct page_tree *tree, uint64_t start, uint64_t end)
{
	uint64_t address;
	int err = 0;

	while (!err && page_tree__next(tree, start, end, &address))
		err = page_tree__set(tree, address, 0);
	return err;
}

void page_tree__share(const struct page_tree *tree, struct page_tree *ret)
{
	*ret = *tree;
	if (ret->root)
		ret->root->references++;
}

struct comparison {
	int (*each)(uint64_t address, void *argument);
	void *argument;
};

static int compare(const struct page_node *a, const struct page_node *b, int level, uint64_t base,
		   const struct comparison *comparison)
{
	int err = 0;

	if (a == b)
		return 0;
	for (unsigned int i = 0; i < WIDTH && !err; i++) {
		const uint64_t address = base + i * span_of(level);

		if (level)
			err = compare(a ? a->children[i] : NULL, b ? b->children[i] : NULL,
				      level - 1, address, comparison);
		else if ((a ? a->pages[i] : 0) != (b ? b->pages[i] : 0))
			err = comparison->each(address, comparison->argument);
	}
	return err;
}

int page_tree__compare(const struct page_tree *a, const struct page_tree *b,
		       int (*each)(uint64_t address, void *argument), void *argument)
{
	const struct comparison comparison = {each, argument};

	return compare(a->root, b->root, TOP, 0, &comparison);
}

static uint64_t own_bytes(const struct page_store *store, const struct page_node *node, int level)
{
	uint64_t bytes;

	if (!node || node->references > 1)
		return 0;
	bytes = node_bytes(level);
	for (unsigned int i = 0; i < WIDTH; i++) {
		if (level)
			bytes += own_bytes(store, node->children[i], level - 1);
		else if (node->pages[i] && page_store__references(store, node->pages[i]) == 1)
			bytes += PAGE_BYTES;
	}
	return bytes;
}

uint64_t page_tree__own_bytes(const struct page_tree *tree)
{
	return own_bytes(tree->store, tree->root, TOP);
}

void page_tree__clear(struct page_tree *tree)
{
	drop(tree->store, tree->root, TOP);
	tree->root = NULL;
	tree->pages = 0;
}
