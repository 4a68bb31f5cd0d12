/* SPDX-License-Identifier: BSD-2-Clause
 *
 * In this order: chunks that differ, suspect chunks, flagged slabs. A target is not stopped for
 * pages that were never touched, which are most of those that BPF could not reach.
 */
#include <errno.h>
#include <stdlib.h>
#include "base/page.h"
#include "target/fault.h"
#include "engine/repair.h"

bool repair__is_needed(const struct operation *operation)
{
	return operation->suspects || operation->differences || operation->slab_flags;
}

/* The pages to look at: those that BPF named, or all when there were too many to name. */
static int list_suspects(const struct target *target, const struct hooks *hooks,
			 const uint64_t **ret_pages, uint64_t *ret_count, uint64_t **ret_owned)
{
	const struct intervals *tracked = &target->tracked;
	uint64_t count = target->state->operation.suspects, *pages;

	if (count <= SUSPECT_PAGES) {
		*ret_pages = hooks__suspects(hooks);
		*ret_count = count;
		return 0;
	}
	count = intervals__bytes(tracked) / PAGE_BYTES + 2 * tracked->count;
	pages = malloc(count * sizeof(*pages));
	if (!pages)
		return -ENOMEM;
	count = 0;
	for (size_t i = 0; i < tracked->count; i++)
		for (uint64_t page = page__start(tracked->items[i].start);
		     page < tracked->items[i].end; page += PAGE_BYTES)
			pages[count++] = page | SUSPECT_ABSENT;
	*ret_pages = *ret_owned = pages;
	*ret_count = count;
	return 0;
}

/* Before the target's memory is read or written. */
static int hold(struct target *target)
{
	int err = target__hold(target);

	return err ? err : fault__pass("repair", target->pid);
}

static int repair_chunks(struct target *target, const struct hooks *hooks,
			 struct snapshot_result *result)
{
	enum operation_kind kind = target->state->operation.kind;
	uint64_t count = 0, *owned = NULL;
	const uint64_t *pages = NULL;
	int err;

	err = list_suspects(target, hooks, &pages, &count, &owned);
	if (!err && chunk_snapshot__needs_repair(target->memory, pages, count)) {
		err = hold(target);
		if (!err && kind == OPERATION_CHECKPOINT)
			err = chunk_snapshot__repair_checkpoint(target->snapshot, target->memory,
								pages, count, result);
		else if (!err)
			err = chunk_snapshot__repair_restore(target->snapshot, target->memory,
							     pages, count, result);
	}
	free(owned);
	return err;
}

/* The same for slabs, which carry their flags in the table. Those that hold no data a checkpoint
 * saves as zeros, and for that the target may run. */
static int repair_slabs(struct target *target, struct snapshot_result *result)
{
	enum operation_kind kind = target->state->operation.kind;
	bool needed = slab_store__needs_repair(target->slabs, target->memory);
	int err = needed ? hold(target) : 0;

	if (!err && kind == OPERATION_CHECKPOINT)
		err = slab_store__repair_checkpoint(target->slabs, target->memory, result);
	else if (!err && needed)
		err = slab_store__repair_restore(target->slabs, target->memory, result);
	return err;
}

int repair__run(struct target *target, const struct hooks *hooks, struct repair_result *ret_result)
{
	const struct operation *operation = &target->state->operation;
	int err;

	if (!repair__is_needed(operation))
		return 0;
	err = memory__look_again(target->memory, target->changed);
	if (err)
		return err;
	target->changed = false;
	if (operation->differences) {
		err = fault__pass("restore", target->pid);
		if (!err)
			err = chunk_snapshot__restore(
				target->snapshot, &target->tracked, hooks__differences(hooks),
				operation->differences, target->memory, &ret_result->written);
	}
	if (!err && operation->suspects)
		err = repair_chunks(target, hooks, &ret_result->repaired);
	if (!err && operation->slab_flags)
		err = repair_slabs(target, &ret_result->repaired);
	return err;
}
