/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Taking a checkpoint: attach__checkpoint(). Nothing is written to the process.
 */
#include <errno.h>
#include <linux/rseq.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "attach/attach.h"
#include "attach/attach_state.h"
#include "attach/copy.h"
#include "attach/layout.h"
#include "attach/registrations.h"
#include "base/clock.h"
#include "base/page.h"
#include "target/reason.h"

static int save_threads(struct attach *attach, struct checkpoint *checkpoint)
{
	int err = thread_watch__list(attach->threads, attach->freeze, &checkpoint->threads);

	if (err)
		return err;
	err = attach_state__check_sharers(attach, &checkpoint->threads);
	if (*checkpoint->name && err)
		return err;
	err = 0; /* nobody goes back to it, so nobody else is changed */
	*attach->detail = '\0';
	checkpoint->registers = calloc(checkpoint->threads.count, sizeof(*checkpoint->registers));
	checkpoint->registered = calloc(checkpoint->threads.count, sizeof(*checkpoint->registered));
	if (!checkpoint->registers || !checkpoint->registered)
		return -ENOMEM;
	for (size_t i = 0; i < checkpoint->threads.count && !err; i++)
		err = registers__read(checkpoint->threads.items[i].tid, &checkpoint->registers[i]);
	if (err)
		return err;
	registrations__read(attach, checkpoint);
	freeze__keep_registers(attach->freeze);
	return 0;
}

/* Is the thread surely in no restartable sequence? The saved page of its area says so. */
static bool is_in_no_sequence(const struct page_tree *tree, const struct registered *registered)
{
	const uint64_t address = registered->rseq + offsetof(struct rseq, rseq_cs);
	const uint32_t page = registered->rseq ? page_tree__get(tree, page__start(address)) : 0;
	uint64_t sequence;

	if (!page)
		return !registered->rseq;
	memcpy(&sequence, page_store__bytes(tree->store, page) + address % PAGE_BYTES,
	       sizeof(sequence));
	return !sequence;
}

static void leave_sequences(const struct attach *attach, struct checkpoint *checkpoint)
{
	for (size_t i = 0; i < checkpoint->threads.count; i++)
		if (!is_in_no_sequence(&checkpoint->tree, &checkpoint->registered[i]))
			registers__leave_sequence(checkpoint->threads.items[i].tid, attach->mem_fd,
						  &checkpoint->registers[i].general);
}

static int remove_all(struct page_tree *tree, const struct intervals *ranges)
{
	int err = 0;

	for (size_t i = 0; i < ranges->count && !err; i++)
		err = page_tree__remove(tree, ranges->items[i].start, ranges->items[i].end);
	return err;
}

/* Takes pages out that the process does not have any more: their mapping is gone, or they were
 * given back. */
static int remove_gone(const struct attach *attach, struct checkpoint *checkpoint)
{
	struct intervals gone = {0};
	int err =
		intervals__subtract(&attach->base->ranges.saved, &checkpoint->ranges.saved, &gone);

	if (err)
		goto out;
	err = remove_all(&checkpoint->tree, &gone);
	if (err)
		goto out;
	err = intervals__subtract(&attach->changes.written, &attach->changes.data, &gone);
	if (err)
		goto out;
	err = remove_all(&checkpoint->tree, &gone);
out:
	intervals__clear(&gone);
	return err;
}

/* When new memory is armed, the kernel may merge it with an armed neighbour. So the mappings are
 * read after that. */
static int find_mappings(struct attach *attach, struct checkpoint *checkpoint)
{
	const struct mappings *now;
	int err = attach_state__look(attach, &checkpoint->mappings, &now);

	if (!err && now != &checkpoint->mappings)
		return procfs__copy_mappings(now, &checkpoint->mappings);
	if (err || !attach->changes.unarmed.count)
		return err;
	(void)attach_state__arm(attach, &checkpoint->mappings, &attach->changes.unarmed);
	procfs__free_mappings(&checkpoint->mappings);
	return procfs__mappings(attach->pid, &checkpoint->mappings);
}

/* Saves a process that stands still. On failure, what has been armed no longer says what has
 * changed. */
static int save(struct attach *attach, struct checkpoint *checkpoint, uint64_t *ret_pages)
{
	int err = save_threads(attach, checkpoint);

	if (err)
		goto out;
	err = open_files__read(attach->files_fd, &checkpoint->files);
	if (err)
		goto out;
	err = find_mappings(attach, checkpoint);
	if (err)
		goto out;
	err = layout__find_ranges(&checkpoint->mappings, &checkpoint->ranges);
	if (err)
		goto out;
	if (attach->base) {
		page_tree__share(&attach->base->tree, &checkpoint->tree);
		err = remove_gone(attach, checkpoint);
		if (err)
			goto out;
	}
	err = intervals__copy(&attach->changes.guards, &checkpoint->guards);
	if (err)
		goto out;
	err = copy__pages(attach->memory, &attach->changes.data, &attach->changes.own,
			  &checkpoint->tree, ret_pages);
	if (!err)
		leave_sequences(attach, checkpoint);
out:
	if (err)
		attach_state__lose_base(attach);
	return err;
}

int attach_state__take(struct attach *attach, struct checkpoint *checkpoint, uint64_t *ret_pages)
{
	static const struct intervals none;
	int err = save(attach, checkpoint, ret_pages);

	if (err)
		return err;
	checkpoint->time_ns = clock__read_ns(CLOCK_REALTIME);
	attach_state__set_base(attach, checkpoint, &none);
	return 0;
}

int attach_state__take_unlisted(struct attach *attach, struct checkpoint **ret_checkpoint)
{
	struct checkpoint *checkpoint = checkpoint__create(&attach->store);
	uint64_t pages;
	int err = checkpoint ? attach_state__take(attach, checkpoint, &pages) : -ENOMEM;

	if (err)
		checkpoint__free(checkpoint);
	else
		*ret_checkpoint = checkpoint;
	return err;
}

void attach_state__drop_unlisted(struct attach *attach, struct checkpoint *checkpoint)
{
	if (attach->base != checkpoint)
		checkpoint__free(checkpoint);
	else if (!attach->list.first)
		attach_state__lose_base(attach);
}

static void replace(struct attach *attach, struct checkpoint *checkpoint)
{
	struct checkpoint *old = checkpoints__find(&attach->list, checkpoint->name);

	if (old)
		attach_state__retire(attach, old);
	checkpoints__add(&attach->list, checkpoint);
}

/* The first checkpoint has all pages: room for them is made before the process stops. */
static void reserve(struct attach *attach)
{
	uint64_t kib;

	if (!attach->base && !procfs__status_u64(attach->pid, "RssAnon", &kib))
		page_store__reserve(&attach->store, kib * 1024 / PAGE_BYTES);
}

int attach__checkpoint(struct attach *attach, const char *name, struct attach_result *ret_result)
{
	struct checkpoint *checkpoint;
	uint64_t pages = 0;
	int err;

	*attach->detail = '\0';
	if (name && !checkpoints__is_name(name))
		return -REASON_BAD_NAME;
	checkpoint = checkpoint__create(&attach->store);
	if (!checkpoint)
		return -ENOMEM;
	if (name)
		(void)snprintf(checkpoint->name, sizeof(checkpoint->name), "%s", name);
	else
		checkpoints__next_name(&attach->list, checkpoint->name);
	reserve(attach);
	err = attach_state__stop(attach, false);
	if (err)
		goto out;
	err = attach_state__take(attach, checkpoint, &pages);
out:
	freeze__release(attach->freeze);
	page_store__trim(&attach->store);
	if (err) {
		checkpoint__free(checkpoint);
		return attach_state__cause(attach, err);
	}
	replace(attach, checkpoint);
	*ret_result = (struct attach_result){
		.pages = pages,
		.bytes = pages * PAGE_BYTES,
		.stop_ns = freeze__stop_ns(attach->freeze),
		.found = attach->found,
		.threads = (uint32_t)checkpoint->threads.count,
	};
	memcpy(ret_result->name, checkpoint->name, sizeof(ret_result->name));
	return 0;
}
