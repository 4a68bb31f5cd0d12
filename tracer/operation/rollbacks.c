/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See rollbacks.h.
 */
#include "operation/rollbacks.h"

#include <string.h>
#include "base/log.h"
#include "target/reason.h"

#define OWN_NAME "program" /* of the checkpoint that the target itself has asked for */

/* Tells the target if a rollback has brought it back into the poll of its checkpoint. One by tracer
 * ctl can do that, too. */
static void on_return(const char *name, void *argument)
{
	struct rollbacks *rollbacks = argument;

	rollbacks->is_told = !strcmp(name, OWN_NAME) &&
			     !reply__tell_return(rollbacks->reply, rollbacks->uid, rollbacks->gid);
	reply__forget(rollbacks->reply);
}

static int open_process(struct commands *commands)
{
	struct rollbacks *rollbacks = (struct rollbacks *)commands;
	int err;

	if (commands->attach)
		return 0;
	snapshot__leave_tracking(rollbacks->snapshot);
	if (!rollbacks->hooks)
		(void)hooks__attach_fault_list(&rollbacks->hooks); /* else memory is scanned */
	err = attach__open(commands->pid, WRITE_TRACKING_PROTECT, rollbacks->hooks,
			   &commands->attach);
	if (err)
		return err;
	rollbacks->was_asked = true;
	attach__on_return(commands->attach, on_return, rollbacks);
	return 0;
}

void rollbacks__init(struct rollbacks *rollbacks, struct snapshot *snapshot, struct reply *reply,
		     bool stays)
{
	*rollbacks = (struct rollbacks){
		.commands = {.open = open_process,
			     .stays = stays ? "the tracer runs the program, and ends with it"
					    : NULL},
		.snapshot = snapshot,
		.reply = reply,
	};
}

void rollbacks__exec(struct rollbacks *rollbacks, pid_t pid, const char *path)
{
	list_sharing__close(rollbacks->commands.sharing);
	rollbacks->commands.sharing = NULL;
	attach__close(rollbacks->commands.attach);
	rollbacks->commands.attach = NULL;
	if (!rollbacks->commands.pid)
		(void)socket__open(path, pid, &rollbacks->socket);
	rollbacks->commands.pid = pid;
}

/* Answers an operation of the target that has failed. */
static void fail(struct rollbacks *rollbacks, struct operation_row *row, int err)
{
	const struct attach *attach = rollbacks->commands.attach;
	const char *detail = attach ? attach__detail(attach) : "";

	if (err == -REASON_UNKNOWN_NAME)
		reply__fail(rollbacks->reply, row,
			    "there is no checkpoint to roll back to; look for " ROLLBACK_COMPLETION
			    " first and then for " CHECKPOINT_COMPLETION
			    ", again and again, while you wait for a checkpoint");
	else
		reply__fail(rollbacks->reply, row, *detail ? "%s (%s)" : "%s%s", reason__text(err),
			    detail);
}

static void fill_row(struct operation_row *row, const struct attach_result *result)
{
	row->bytes = result->bytes;
	row->chunks = result->bytes / CHUNK_BYTES;
	row->copy_ns = result->stop_ns;
}

void rollbacks__checkpoint(struct rollbacks *rollbacks, const struct operation *operation)
{
	struct operation_row row = {.status = STATUS_FAILED};
	struct attach_result result;
	int err = open_process(&rollbacks->commands);

	if (err)
		goto out;
	err = attach__checkpoint(rollbacks->commands.attach, OWN_NAME, &result);
	if (err)
		goto out;
	rollbacks->uid = operation->uid;
	rollbacks->gid = operation->gid;
	row.status = STATUS_OK;
	fill_row(&row, &result);
	if (!reply__check(rollbacks->reply, &row))
		reply__complete(rollbacks->reply, &row);
out:
	if (err)
		fail(rollbacks, &row, err);
}

void rollbacks__rollback(struct rollbacks *rollbacks, const struct operation *operation)
{
	struct attach *attach = rollbacks->commands.attach;
	const uint64_t request_ns = operation->request_ns;
	struct operation_row row = {.status = STATUS_FAILED, .restore_path = "process_vm"};
	struct attach_result result;
	int err;

	if (reply__begin_rollback(rollbacks->reply, &row))
		return;
	err = attach ? attach__rollback(attach, OWN_NAME, &result) : -REASON_UNKNOWN_NAME;
	if (err == -REASON_HALF_DONE)
		rollbacks->commands.has_broken = true;
	if (err) {
		fail(rollbacks, &row, err);
		return;
	}
	row.status = rollbacks->is_told ? STATUS_OK : STATUS_FAILED;
	fill_row(&row, &result);
	reply__end_rollback(rollbacks->reply, &row, request_ns);
}

void rollbacks__expect_writes(struct rollbacks *rollbacks)
{
	if (rollbacks->commands.attach)
		attach__distrust_list(rollbacks->commands.attach);
}

int rollbacks__fd(const struct rollbacks *rollbacks)
{
	return rollbacks->socket ? socket__fd(rollbacks->socket) : -1;
}

bool rollbacks__serve(struct rollbacks *rollbacks)
{
	return rollbacks->socket &&
	       socket__serve(rollbacks->socket, command__answer, &rollbacks->commands);
}

void rollbacks__tick(struct rollbacks *rollbacks)
{
	if (rollbacks->commands.attach)
		(void)attach__release_late(rollbacks->commands.attach);
}

void rollbacks__close(struct rollbacks *rollbacks)
{
	socket__close(rollbacks->socket);
	list_sharing__close(rollbacks->commands.sharing);
	attach__close(rollbacks->commands.attach);
	hooks__free(rollbacks->hooks);
	*rollbacks = (struct rollbacks){0};
}
