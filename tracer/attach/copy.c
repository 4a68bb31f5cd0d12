/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See copy.h. Pages are read in batches straight into the store; those that turn out to be
 * superfluous are dropped again.
 */
#include "attach/copy.h"

#include <stdbool.h>
#include <string.h>
#include "base/page.h"
#include "base/progress.h"
#include "image/image.h"

enum { BATCH = 512 };

struct batch {
	struct memory *memory;
	struct page_tree *tree;
	const struct intervals *zeros;
	uint32_t pages[BATCH];
	uint64_t addresses[BATCH];
	size_t count;
	uint64_t added;
};

static void add_piece(struct iovec *pieces, size_t *count, void *start)
{
	if (*count && (char *)pieces[*count - 1].iov_base + pieces[*count - 1].iov_len == start)
		pieces[*count - 1].iov_len += PAGE_BYTES;
	else
		pieces[(*count)++] = (struct iovec){start, PAGE_BYTES};
}

static int read_batch(const struct batch *batch)
{
	struct iovec local[BATCH], remote[BATCH];
	size_t locals = 0, remotes = 0;

	for (size_t i = 0; i < batch->count; i++) {
		add_piece(local, &locals, page_store__bytes(batch->tree->store, batch->pages[i]));
		add_piece(remote, &remotes, (void *)(uintptr_t)batch->addresses[i]);
	}
	return memory__read_pieces(batch->memory, local, locals, remote, remotes);
}

/* Puts a page that was read into the tree, or drops it. */
static int keep(struct batch *batch, uint64_t address, uint32_t page)
{
	struct page_store *store = batch->tree->store;
	const uint8_t *bytes = page_store__bytes(store, page);
	const uint32_t before = page_tree__get(batch->tree, address);
	const bool is_dropped =
		image__is_zero(bytes, PAGE_BYTES) && !intervals__find(batch->zeros, address);
	int err = 0;

	if (is_dropped)
		err = page_tree__set(batch->tree, address, 0);
	else if (!before || memcmp(bytes, page_store__bytes(store, before), PAGE_BYTES) != 0) {
		err = page_tree__set(batch->tree, address, page);
		if (!err) {
			batch->added++;
			return 0;
		}
	}
	page_store__drop(store, page);
	return err;
}

static int flush(struct batch *batch)
{
	int err = read_batch(batch);

	for (size_t i = 0; i < batch->count; i++) {
		if (err)
			page_store__drop(batch->tree->store, batch->pages[i]);
		else
			err = keep(batch, batch->addresses[i], batch->pages[i]);
	}
	batch->count = 0;
	return err;
}

int copy__pages(struct memory *memory, const struct intervals *ranges,
		const struct intervals *zeros, struct page_tree *tree, uint64_t *ret_pages)
{
	const uint64_t total = intervals__bytes(ranges);
	struct batch batch = {.memory = memory, .tree = tree, .zeros = zeros};
	struct progress progress = {0};
	uint64_t done = 0;
	int err = 0;

	for (size_t i = 0; i < ranges->count; i++) {
		for (uint64_t at = ranges->items[i].start; at < ranges->items[i].end;
		     at += PAGE_BYTES) {
			err = page_store__take(tree->store, &batch.pages[batch.count]);
			if (err)
				goto out;
			batch.addresses[batch.count++] = at;
			if (batch.count < BATCH)
				continue;
			err = flush(&batch);
			if (err)
				goto out;
			done += BATCH * PAGE_BYTES;
			progress__step(&progress, "checkpoint", done, total);
		}
	}
	err = flush(&batch);
out:
	for (size_t i = 0; i < batch.count; i++)
		page_store__drop(tree->store, batch.pages[i]);
	progress__end(&progress);
	if (!err)
		*ret_pages = batch.added;
	return err;
}
