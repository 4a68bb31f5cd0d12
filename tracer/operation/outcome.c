/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See outcome.h.
 */
#include "operation/outcome.h"

#include <errno.h>
#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"
#include "target/fault_injection.h"
#include "target/reason.h"

/* The text of err, for a message. */
static const char *why(struct operations *operations, int err)
{
	if (err != -REASON_THREADS_CHANGED)
		return reason__text(err);
	snprintf(operations->text, sizeof(operations->text), "%s (%s)", reason__text(err),
		 operations->threads);
	return operations->text;
}

/* Takes back what a failed operation has done to the snapshot. Returns the end of its message: what
 * is left. moved: a restore may have written something. */
static const char *revert(const struct operations *operations, bool moved, int err)
{
	if (err == -ESRCH)
		return "";
	if (operations->state->operation.kind == OPERATION_CHECKPOINT)
		return snapshot__revert(operations->snapshot) ? "; the snapshot before it is kept"
							      : "; there is no snapshot now";
	return moved ? "; memory is partly restored" : "; its memory is as it was";
}

void outcome__fail(struct operations *operations, struct operation_row *row, bool moved, int err)
{
	reply__fail(&operations->reply, row, "%s%s", why(operations, err),
		    revert(operations, moved, err));
}

/* Adds up what the copy and its repair have done. */
static void tally(const struct operations *operations, const struct engine_result *repaired,
		  struct operation_row *row)
{
	const struct operation *operation = &operations->state->operation;
	bool restore = operation->kind == OPERATION_RESTORE;

	if (restore)
		row->restore_path = operations->restore_in_bpf ? "bpf" : "process_vm";
	row->chunks = operation->copied + operation->absent + operation->unwritten +
		      operation->newer + operation->lost + operation->clean +
		      operation->differences;
	row->bytes = (operation->copied + repaired->moved) * CHUNK_BYTES;
	row->absent = operation->absent;
	if (!restore && repaired->moved + repaired->failed <= row->absent)
		row->absent -= repaired->moved + repaired->failed; /* they were there, after all */
	row->repaired = repaired->forced;
	row->failed = repaired->failed + operation->lost;
	row->fresh = operation->newer;
	row->clean = operation->clean;
	if (restore)
		row->gone = snapshot__count_gone(operations->snapshot, row->chunks - row->fresh);
	row->copy_ns = operation->copy_ns;
	row->dirty_way = snapshot__dirty(operations->snapshot, &row->dirty_pages);
}

/* For --save. A failure does not spoil the checkpoint. */
static void remember_for_image(struct operations *operations)
{
	int err;

	if (!operations->image)
		return;
	err = snapshot_image__remember(operations->image, operations->target, operations->snapshot);
	if (err && err != -ESRCH)
		log__warn("cannot read what --save needs to know of process %d: %s",
			  operations->target->pid, reason__text(err));
}

/* Writes or reads what BPF could not. */
static int repair(struct operations *operations, struct engine_result *ret_result)
{
	const struct state *state = operations->state;
	const struct operation *operation = &state->operation;
	int err = fault_injection__pass("copied", operations->target->pid);

	if (err)
		return err;
	if (operation->kind == OPERATION_CHECKPOINT && state->replacing == operation->sequence) {
		err = fault_injection__pass("replaced", operations->target->pid);
		if (err)
			return err;
	}
	err = snapshot__repair(operations->snapshot, operations->target, ret_result);
	return operation->failed ? -REASON_COPY_BROKEN : err;
}

/* Some chunks are left that nobody could read or write. */
static void fail_in_part(struct operations *operations, struct operation_row *row)
{
	const struct operation *operation = &operations->state->operation;
	const bool restore = operation->kind == OPERATION_RESTORE;
	const bool damaged = restore && operations->verify && operation->lost;

	row->status = STATUS_PARTIAL;
	reply__fail(&operations->reply, row, "%lu chunks could not be %s; %s%s",
		    (unsigned long)row->failed, restore ? "written" : "read",
		    damaged ? "some have a wrong checksum, or could not be read when they were "
			      "saved"
			    : "the target itself cannot use that memory (a guard, or a mapping "
			      "beyond the end of its file?)",
		    restore ? "" : revert(operations, false, 0));
}

/* All that a checkpoint keeps beside the memory. */
static int commit(struct operations *operations, const struct operation_row *row)
{
	int err = target__remember_threads(operations->target);

	if (err)
		return err;
	snapshot__commit(operations->snapshot, row->chunks);
	remember_for_image(operations);
	return 0;
}

void outcome__settle(struct operations *operations, uint64_t start_ns)
{
	const bool restore = operations->state->operation.kind == OPERATION_RESTORE;
	struct operation_row row = {.status = STATUS_FAILED};
	struct engine_result result = {0};
	int err;

	err = repair(operations, &result);
	tally(operations, &result, &row);
	if (snapshot__is_left(operations->snapshot))
		row.copy_ns += clock__now_ns() - start_ns;
	if (err) {
		outcome__fail(operations, &row, row.bytes || operations->restore_in_bpf, err);
		return;
	}
	if (row.failed) {
		fail_in_part(operations, &row);
		return;
	}
	row.status = STATUS_OK;
	if (restore)
		operations->state->quiet =
			snapshot__keeps_pages(operations->snapshot) && !result.moved;
	if (reply__check(&operations->reply, &row))
		return;
	err = restore ? 0 : commit(operations, &row);
	if (err) {
		row.status = STATUS_FAILED;
		outcome__fail(operations, &row, false, err);
		return;
	}
	reply__complete(&operations->reply, &row);
}
