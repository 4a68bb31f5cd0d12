/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See operations.h. bpf/tracer.h draws the phases. Two of them are ours:
 *
 *	PHASE_PREPARING  stop other threads, reconcile the ranges, then hand over to the next poll;
 *			 where BPF may not write, a restore holds the target in that poll
 *	PHASE_COPIED     write and repair what BPF could not, then complete
 *
 * outcome.h has how it ends.
 */
#include "operation/operations.h"

#include <errno.h>
#include "base/clock.h"
#include "base/log.h"
#include "operation/outcome.h"
#include "target/fault_injection.h"
#include "target/reason.h"

enum {
	RESTARTS = 97,     /* of one copy, because mappings changed between its polls */
	IDLE_POLLS = 23,   /* of a target that is stepped, which bring the copy no further */
	QUIET_PAGES = 512, /* to compare more takes longer than to hold the target */
	QUIET_CHUNKS = 256,
};

/* ---- before the copy ---- */

/* Reads the ring to its end, then reconciles the ranges. */
static int reconcile(struct operations *operations)
{
	uint64_t deferred = __atomic_load_n(&operations->state->deferred, __ATOMIC_ACQUIRE);
	int err;

	(void)ring_buffer__consume(operations->events);
	err = snapshot__reconcile(operations->snapshot, operations->target,
				  operations->state->operation.kind);
	if (err == -REASON_EVENTS_LOST &&
	    operations->state->operation.kind == OPERATION_CHECKPOINT) {
		log__warn("the ring of events was full; ranges were read anew");
		err = 0;
	}
	if (err)
		return err;
	__atomic_store_n(&operations->state->prepared, deferred, __ATOMIC_RELEASE);
	return 0;
}

static bool is_reconciled(const struct operations *operations)
{
	const struct state *state = operations->state;

	if (state->operation.kind == OPERATION_CHECKPOINT && state->unplaced)
		return false;
	return state->prepared == __atomic_load_n(&state->deferred, __ATOMIC_ACQUIRE) &&
	       !state->always_prepare;
}

/* Refuses a copy that would do harm. */
static int check_target(struct operations *operations)
{
	const struct operation *operation = &operations->state->operation;
	struct intervals ranges = {0};
	int err = 0;

	if (operation->kind == OPERATION_RESTORE)
		err = target__check_threads(operations->target, operations->threads,
					    sizeof(operations->threads));
	if (err || (operation->threads == 1 && !operation->stack &&
		    !operations->target->main_stack_tracked))
		return err;
	err = snapshot__ranges(operations->snapshot, true, &ranges);
	if (err)
		goto out;
	err = target__check_stack(operations->target, &ranges);
	if (err)
		goto out;
	if (operation->threads > 1)
		err = target__check_userfault(operations->target, &ranges);
out:
	intervals__clear(&ranges);
	return err;
}

/* Prepares the copy, while the target stands still or polls. */
static int look_at_target(struct operations *operations)
{
	struct operation *operation = &operations->state->operation;
	int err = 0;

	if (is_reconciled(operations))
		(void)ring_buffer__consume(operations->events);
	else
		err = reconcile(operations);
	/* the copy begins, or begins again because something changed between two batches */
	operation->copied = operation->absent = operation->unwritten = operation->newer = 0;
	operation->lost = operation->suspects = operation->clean = operation->differences = 0;
	if (err)
		return err;
	err = check_target(operations);
	if (err)
		return err;
	return snapshot__begin(operations->snapshot, operations->target, operation->kind);
}

/* Hands over to the next poll, unless an exec or a new request has overtaken the operation. Returns
 * -REASON_OVERTAKEN when the target will not poll. */
static int make_ready(struct operations *operations)
{
	uint32_t *phase = &operations->state->operation.phase;
	uint32_t preparing = PHASE_PREPARING, ready = PHASE_READY;

	silence__expect_poll(&operations->silence);
	if (!__atomic_compare_exchange_n(phase, &preparing, PHASE_READY, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_RELAXED))
		return 0;
	/* a request that comes from now on overtakes this one; one that came before could not */
	if (!reply__is_wanted(&operations->reply) &&
	    __atomic_compare_exchange_n(phase, &ready, PHASE_PREPARING, false, __ATOMIC_ACQ_REL,
					__ATOMIC_RELAXED))
		return -REASON_OVERTAKEN;
	return 0;
}

/* Limits how often one copy begins again: a signal handler that maps and unmaps between any two
 * polls would let a long copy never end. */
static int count_restart(struct operations *operations)
{
	const struct operation *operation = &operations->state->operation;

	if (operations->begun != operation->sequence)
		operations->restarts = 0;
	else
		operations->restarts++;
	operations->begun = operation->sequence;
	return operations->restarts > RESTARTS ? -REASON_MAPPINGS_CHANGING : 0;
}

/* Stops the target, and lets BPF copy or compare in this poll or in the next ones. The target then
 * stands in the last one, and the phase is COPIED. */
static int hold_and_copy(struct operations *operations)
{
	struct operation *operation = &operations->state->operation;
	int err = target__stop_in_poll(operations->target);
	bool in_poll = true; /* which is ended before the next one */

	if (err)
		return err;
	for (int idle = 0; operation->phase != PHASE_COPIED; idle++) {
		uint64_t before, after, pages;

		snapshot__progress(operations->snapshot, &before, &pages);
		if (idle == IDLE_POLLS)
			return -REASON_NOT_POLLING;
		if (operation->phase == PHASE_PREPARING) {
			err = count_restart(operations);
			if (err)
				return err;
			idle = 0;
			err = look_at_target(operations);
			if (err)
				return err;
			err = make_ready(operations);
			if (err)
				return err;
		}
		if (in_poll) {
			err = target__finish_poll(operations->target);
			if (err)
				return err;
			in_poll = false;
		}
		if (operation->phase != PHASE_COPIED) {
			err = target__step(operations->target);
			if (err)
				return err;
		}
		snapshot__progress(operations->snapshot, &after, &pages);
		if (after > before)
			idle = 0;
	}
	return 0;
}

/* Is the target held before the copy begins? Where BPF may not write, it is for a restore, unless
 * the restore compares first. */
static bool is_held(const struct operations *operations)
{
	const struct state *state = operations->state;

	return state->held || (state->operation.kind == OPERATION_RESTORE &&
			       !operations->restore_in_bpf && !state->quiet);
}

static void finish(struct operations *operations);

/* An operation during which the target stands still. */
static void operate_held(struct operations *operations)
{
	int err = hold_and_copy(operations);

	if (err) {
		outcome__fail(operations, NULL, false, target__cause(operations->target, err));
		return;
	}
	(void)ring_buffer__consume(operations->events);
	finish(operations);
}

/* Begins the restore anew, with the target held from before the comparison. */
static void hold_first(struct operations *operations)
{
	operations->state->quiet = 0;
	operations->state->operation.phase = PHASE_PREPARING;
	operate_held(operations);
}

/* Holds the target for a restore that has compared first, and has to write. Returns whether the
 * restore can go on; if not, it was done anew. */
static bool hold_after_all(struct operations *operations)
{
	int err = target__hold_in_poll(operations->target);

	if (!err && operations->target->held)
		return true;
	if (err == -REASON_EXECED)
		outcome__fail(operations, NULL, false, err);
	else
		hold_first(operations);
	return false;
}

/* Where BPF may not write: has a restore so much to compare that holding the target is faster? */
static bool is_long(const struct operations *operations, uint64_t pages)
{
	return operations->state->operation.kind == OPERATION_RESTORE &&
	       !operations->restore_in_bpf &&
	       (pages > QUIET_PAGES || snapshot__chunk_count(operations->snapshot) > QUIET_CHUNKS);
}

/* Where BPF may not write: does the restore compare before the target is held? A target that waits
 * in its poll can be held there at once. Another one would have to be stepped to a poll first. */
static bool compares_first(const struct operations *operations)
{
	const struct state *state = operations->state;
	uint64_t done, pages;

	if (state->operation.threads > 1)
		return false;
	snapshot__progress(operations->snapshot, &done, &pages);
	return state->quiet ||
	       (!__atomic_load_n(&state->waiting, __ATOMIC_SEQ_CST) && !state->waits_to_skip &&
		!is_long(operations, pages) && !snapshot__uses_list(operations->snapshot));
}

/* Can the operation be done at all? */
static int check_operation(const struct operations *operations)
{
	const struct state *state = operations->state;
	int err = fault_injection__pass("prepare", operations->target->pid);

	if (err)
		return err;
	if (state->operation.kind == OPERATION_RESTORE)
		return snapshot__is_whole(operations->snapshot) ? 0 : -REASON_NO_SNAPSHOT;
	return state->valid ? fault_injection__pass("replace", operations->target->pid) : 0;
}

/* Prepares the copy in polls of a target that is not held. */
static void operate_free(struct operations *operations)
{
	struct operation *operation = &operations->state->operation;
	struct target *target = operations->target;
	bool begun = operation->copied > 0; /* something has changed between two batches */
	int err = 0;

	if (operation->threads > 1 || operations->state->stopped)
		err = target__stop(target, (pid_t)operation->tid);
	if (err)
		goto out;
	err = count_restart(operations);
	if (err)
		goto out;
	err = look_at_target(operations);
	if (err)
		goto out;
	if (is_long(operations, snapshot__visit_count(operations->snapshot))) {
		hold_first(operations);
		return;
	}
	err = make_ready(operations);
out:
	err = target__cause(target, err);
	if (err)
		outcome__fail(operations, NULL, begun, err);
}

static void prepare(struct operations *operations)
{
	struct operation *operation = &operations->state->operation;
	int err;

	if (operation->phase != PHASE_PREPARING)
		return; /* another exec or request has overtaken it */
	if (operations->state->for_rollback) {
		rollbacks__checkpoint(operations->rollbacks, operation);
		return;
	}
	rollbacks__expect_writes(operations->rollbacks);
	err = check_operation(operations);
	if (err) {
		outcome__fail(operations, NULL, false, err);
		return;
	}
	if (operation->kind == OPERATION_CHECKPOINT)
		snapshot__watch(operations->snapshot, operations->target);
	else if (operation->kind == OPERATION_RESTORE)
		operations->state->quiet = compares_first(operations);
	if (is_held(operations))
		operate_held(operations);
	else
		operate_free(operations);
}

/* ---- after the copy ---- */

static void finish(struct operations *operations)
{
	const struct operation *operation = &operations->state->operation;
	const uint64_t start_ns = clock__now_ns();

	if (operation->phase != PHASE_COPIED)
		return; /* an exec has overtaken it, or it is done */
	rollbacks__expect_writes(operations->rollbacks);
	if (operation->kind == OPERATION_RESTORE && !operations->restore_in_bpf &&
	    !operations->target->held &&
	    snapshot__needs_hold(operations->snapshot, operations->target) &&
	    !hold_after_all(operations))
		return;
	outcome__settle(operations, start_ns);
}

/* ---- phases ---- */

bool operations__step(struct operations *operations)
{
	switch (__atomic_load_n(&operations->state->operation.phase, __ATOMIC_ACQUIRE)) {
	case PHASE_REQUESTED:
		if (operations->state->operation.kind != OPERATION_ROLLBACK)
			return false;
		/* The ring may just have got the request. It is read before the answer. */
		(void)ring_buffer__consume(operations->events);
		rollbacks__rollback(operations->rollbacks, &operations->state->operation);
		return true;
	case PHASE_PREPARING:
		(void)ring_buffer__consume(operations->events);
		prepare(operations);
		return true;
	case PHASE_COPIED:
		finish(operations);
		return true;
	case PHASE_IDLE:
		if (operations->state->ignored)
			reply__refuse_ignored(&operations->reply);
		return false;
	default:
		return false;
	}
}

void operations__expect_poll(struct operations *operations, uint64_t sequence)
{
	const struct operation *operation = &operations->state->operation;

	silence__expect_poll(&operations->silence);
	if (sequence > operations->reply.last) /* else the answer is there already */
		(void)control__forget(operations->reply.control, operation->kind, operation->uid);
}

bool operations__is_under_way(const struct operations *operations)
{
	return operations->state->operation.phase != PHASE_IDLE &&
	       !silence__is_told(&operations->silence);
}

void operations__end(struct operations *operations)
{
	const struct operation *operation = &operations->state->operation;

	if (operation->phase == PHASE_IDLE)
		return;
	if (operation->polls)
		reply__fail(&operations->reply, NULL, "the target ended before it was done");
	else
		reply__fail(&operations->reply, NULL,
			    "the target ended and had not polled %s with access(2), or could not "
			    "(seccomp?)",
			    control__completion_path(operations->reply.control, operation->kind));
}
