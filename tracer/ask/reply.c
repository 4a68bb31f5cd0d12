/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The order matters. The client may ask again as soon as it sees the completion file, or the
 * request file gone. Before that, the phase is IDLE. The target goes on last.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "ask/reply.h"
#include "target/fault_injection.h"
#include "target/reason.h"

bool reply__is_wanted(const struct reply *reply)
{
	return !__atomic_load_n(&reply->state->ignored, __ATOMIC_ACQUIRE) ||
	       reply->state->ignored_tid != reply->state->operation.tid;
}

static void set_idle(struct reply *reply)
{
	__atomic_store_n(&reply->state->operation.phase, PHASE_IDLE, __ATOMIC_RELEASE);
}

/* The poll that waits for the answer goes on, and finds it. */
static void set_answered(struct reply *reply, uint64_t sequence)
{
	__atomic_store_n(&reply->state->answered, sequence, __ATOMIC_RELEASE);
}

/* Returns the kinds that were asked for during the operation, and forgets them. They must be
 * forgotten before one of them is refused: the client asks again at once, and the new request would
 * be taken for one that was overtaken. */
static uint32_t take_ignored(struct reply *reply)
{
	uint32_t ignored = __atomic_exchange_n(&reply->state->ignored, 0, __ATOMIC_ACQ_REL);

	if (ignored)
		log__error("a request was refused, for it came while another was being served");
	return ignored;
}

/* kinds: bits, by enum operation_kind */
static void refuse(struct reply *reply, uint32_t kinds, uid_t uid)
{
	for (int kind = 0; kind < OPERATION_KINDS; kind++)
		if (kinds & 1U << kind)
			control__refuse(reply->control, kind, uid);
}

void reply__refuse_ignored(struct reply *reply)
{
	refuse(reply, take_ignored(reply), reply->state->operation.uid);
}

static void fill_row(const struct reply *reply, const struct operation *operation,
		     struct operation_row *row)
{
	const struct target *target = reply->target;

	row->sequence = operation->sequence;
	row->kind = operation->kind;
	row->ranges = snapshot__range_count(reply->snapshot);
	row->pid = target->pid;
	memcpy(row->comm, target->comm, sizeof(row->comm));
	if (!row->restore_path)
		row->restore_path = "-";
}

/* Says why it has failed. A checkpoint is taken back. */
static void take_back(const struct reply *reply, const struct operation_row *row, const char *text)
{
	log__error("%s %lu of process %d (%s) %s: %s", report__kind_name(row->kind),
		   (unsigned long)row->sequence, row->pid, row->comm,
		   row->status == STATUS_PARTIAL ? "is partial" : "has failed", text);
	if (row->kind == OPERATION_CHECKPOINT)
		(void)snapshot__revert(reply->snapshot);
}

/* The phase is IDLE, unless somebody has asked anew since. uid: who asked for the operation. */
static void end_failed(struct reply *reply, const struct operation_row *row, uid_t uid)
{
	refuse(reply, take_ignored(reply) | 1U << row->kind, uid);
	set_answered(reply, row->sequence);
	target__release(reply->target);
	report__add(reply->report, row);
	reply->has_failed = true;
}

void reply__fail(struct reply *reply, struct operation_row *row, const char *format, ...)
{
	const struct operation *operation = &reply->state->operation;
	const uid_t uid = operation->uid;
	struct operation_row empty = {.status = STATUS_FAILED};
	char text[600];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (!row)
		row = &empty;
	fill_row(reply, operation, row);
	take_back(reply, row, text);
	set_idle(reply);
	end_failed(reply, row, uid);
}

int reply__check(struct reply *reply, struct operation_row *row)
{
	const struct operation *operation = &reply->state->operation;
	enum operation_kind kind = operation->kind;
	const char *moved = kind == OPERATION_CHECKPOINT ? "read" : "restored";
	bool replaced;
	int err;

	if (!reply__is_wanted(reply)) {
		row->status = STATUS_FAILED;
		reply__fail(reply, row,
			    "the target gave it up and asked anew; memory was %s all the same",
			    moved);
		return -REASON_OVERTAKEN;
	}
	err = control__check_request(reply->control, kind, operation->uid);
	if (err == -ENOENT && control__is_elsewhere(reply->control, kind, reply->target->pid)) {
		replaced = control__is_replaced(reply->control);
		row->status = STATUS_FAILED;
		reply__fail(reply, row, "it created %s in another folder than ours: %s %s%s",
			    control__request_path(reply->control, kind),
			    replaced ? "somebody has replaced"
				     : "it has another root folder or other mounts; bind our",
			    control__folder(reply->control),
			    replaced ? " since the tracer began; start the tracer anew"
				     : " there, or choose a --control-dir that both have");
		return err;
	}
	if (err && err != -ENOENT) {
		row->status = STATUS_FAILED;
		reply__fail(reply, row,
			    "%s is not a plain file of user %u; memory was %s all the same",
			    control__request_path(reply->control, kind), operation->uid, moved);
		return err;
	}
	return 0;
}

/* An error message: memory that the user wants back is gone, and the target may crash. Told once,
 * for a restore is repeated. */
static void tell_gone(struct reply *reply, const struct operation_row *row)
{
	if (row->gone > reply->gone)
		log__error("restore %lu: %lu chunks were not restored, for the target has unmapped "
			   "or replaced them since the checkpoint: it must not use them any more. "
			   "malloc gives large blocks back when they are freed, but not with "
			   "GLIBC_TUNABLES=glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold="
			   "4294967295",
			   (unsigned long)row->sequence, (unsigned long)row->gone);
	reply->gone = row->gone;
}

/* Another thread may have asked since the phase is IDLE: its operation goes on. */
static void fail_to_complete(struct reply *reply, struct operation_row *row, uid_t uid, int err)
{
	char text[600];

	(void)snprintf(text, sizeof(text), "cannot create %s: %s%s",
		       control__completion_path(reply->control, row->kind), strerror(-err),
		       err == -EEXIST ? "; something that is not the target's plain file is there"
				      : "");
	row->status = STATUS_FAILED;
	take_back(reply, row, text);
	end_failed(reply, row, uid);
}

void reply__complete(struct reply *reply, struct operation_row *row)
{
	/* The target may ask anew as soon as the phase is IDLE. */
	const struct operation operation = reply->state->operation;
	int err;

	fill_row(reply, &operation, row);
	reply->last = operation.sequence;
	if (operation.kind == OPERATION_RESTORE)
		reply->restored = operation.sequence;
	set_idle(reply);
	err = fault_injection__pass("completion", reply->target->pid);
	if (!err)
		err = control__complete(reply->control, operation.kind, operation.uid,
					operation.gid);
	if (err) {
		fail_to_complete(reply, row, operation.uid, err);
		return;
	}
	target__repeat_poll(reply->target);
	set_answered(reply, row->sequence);
	row->latency_ns = clock__now_ns() - operation.request_ns;
	target__release(reply->target);
	report__add(reply->report, row);
	control__provide(reply->control, operation.uid, operation.gid);
	log__debug("%s %lu: %lu chunks, %lu bytes, %lu absent, %lu repaired, %lu polls, %.1f us",
		   report__kind_name(row->kind), (unsigned long)row->sequence,
		   (unsigned long)row->chunks, (unsigned long)row->bytes,
		   (unsigned long)row->absent, (unsigned long)row->repaired,
		   (unsigned long)operation.polls, (double)row->latency_ns / 1e3);
	tell_gone(reply, row);
}

int reply__begin_rollback(struct reply *reply, struct operation_row *row)
{
	const struct operation *operation = &reply->state->operation;
	uint32_t requested = PHASE_REQUESTED;
	int err;

	if (!__atomic_compare_exchange_n(&reply->state->operation.phase, &requested,
					 PHASE_PREPARING, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_RELAXED))
		return -REASON_OVERTAKEN;
	fill_row(reply, operation, row);
	err = control__check_request(reply->control, OPERATION_ROLLBACK, operation->uid);
	if (err)
		reply__fail(reply, row, "%s is not a plain file of user %u",
			    control__request_path(reply->control, OPERATION_ROLLBACK),
			    operation->uid);
	return err;
}

void reply__forget(struct reply *reply)
{
	const struct operation *operation = &reply->state->operation;
	bool is_open = operation->phase != PHASE_IDLE;

	set_idle(reply);
	if (is_open)
		control__refuse(reply->control, operation->kind, operation->uid);
	set_answered(reply, operation->sequence);
}

int reply__tell_return(struct reply *reply, uid_t uid, gid_t gid)
{
	int err = control__forget(reply->control, OPERATION_CHECKPOINT, uid);

	if (!err)
		err = control__complete(reply->control, OPERATION_ROLLBACK, uid, gid);
	if (err)
		log__error("cannot tell process %d (%s) that it has come back: %s: %s",
			   reply->target->pid, reply->target->comm,
			   control__completion_path(reply->control, OPERATION_ROLLBACK),
			   strerror(-err));
	return err;
}

void reply__end_rollback(struct reply *reply, struct operation_row *row, uint64_t request_ns)
{
	row->latency_ns = clock__now_ns() - request_ns;
	report__add(reply->report, row);
	if (row->status != STATUS_OK)
		reply->has_failed = true;
	control__provide(reply->control, reply->state->operation.uid, reply->state->operation.gid);
	log__debug("rollback %lu: %lu bytes, %.1f us", (unsigned long)row->sequence,
		   (unsigned long)row->bytes, (double)row->latency_ns / 1e3);
}
