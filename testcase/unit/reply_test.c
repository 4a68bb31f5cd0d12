/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The answer to a request, where another thread of the target asks as soon as it may. The control
 * files, the snapshot and the target are replaced by what stands here.
 */
#include "ask/reply.h"

#include <errno.h>
#include <string.h>
#include "target/target.h"
#include "tap.h"

enum { ASKED = 23, ASKED_NEXT, USER = 2301, USER_NEXT };

static struct state state;
static struct operation_row added;
static int completing;    /* what control__complete() returns */
static bool asks_anew;    /* another thread does, at that moment */
static uint32_t refused;  /* kinds whose request file was removed */
static uid_t refused_uid; /* the user that it had to be of */
static unsigned int reverts;

int control__complete(struct control *control, enum operation_kind kind, uid_t uid, gid_t gid)
{
	(void)control, (void)kind, (void)uid, (void)gid;
	if (asks_anew && state.operation.phase == PHASE_IDLE) {
		state.operation.sequence = ASKED_NEXT;
		state.operation.kind = OPERATION_RESTORE;
		state.operation.uid = USER_NEXT;
		state.operation.phase = PHASE_REQUESTED;
	}
	return completing;
}

void control__refuse(struct control *control, enum operation_kind kind, uid_t uid)
{
	(void)control;
	refused |= 1U << kind;
	refused_uid = uid;
}

const char *control__completion_path(const struct control *control, enum operation_kind kind)
{
	(void)control, (void)kind;
	return "/nowhere/completion";
}

const char *control__request_path(const struct control *control, enum operation_kind kind)
{
	(void)control, (void)kind;
	return "/nowhere/request";
}

const char *control__folder(const struct control *control)
{
	(void)control;
	return "/nowhere";
}

int control__check_request(struct control *control, enum operation_kind kind, uid_t uid)
{
	(void)control, (void)kind, (void)uid;
	return 0;
}

bool control__is_elsewhere(const struct control *control, enum operation_kind kind, pid_t pid)
{
	(void)control, (void)kind, (void)pid;
	return false;
}

bool control__is_replaced(const struct control *control)
{
	(void)control;
	return false;
}

int control__forget(const struct control *control, enum operation_kind kind, uid_t uid)
{
	(void)control, (void)kind, (void)uid;
	return 0;
}

void control__provide(struct control *control, uid_t uid, gid_t gid)
{
	(void)control, (void)uid, (void)gid;
}

size_t snapshot__range_count(const struct snapshot *snapshot)
{
	(void)snapshot;
	return 1;
}

bool snapshot__revert(struct snapshot *snapshot)
{
	(void)snapshot;
	reverts++;
	return true;
}

void target__release(struct target *target)
{
	(void)target;
}

void target__repeat_poll(const struct target *target)
{
	(void)target;
}

void report__add(struct report *report, const struct operation_row *row)
{
	(void)report;
	added = *row;
}

const char *report__kind_name(enum operation_kind kind)
{
	return kind == OPERATION_CHECKPOINT ? "checkpoint" : "restore";
}

static void complete(int result, bool anew)
{
	struct target target = {.comm = "target"};
	struct reply reply = {.target = &target, .state = &state};
	struct operation_row row = {.status = STATUS_OK};

	state = (struct state){.operation = {.sequence = ASKED,
					     .kind = OPERATION_CHECKPOINT,
					     .uid = USER,
					     .phase = PHASE_COPIED}};
	completing = result;
	asks_anew = anew;
	refused = reverts = 0;
	reply__complete(&reply, &row);
}

static void test_next_one(const char *when)
{
	tap__equal(state.operation.phase, PHASE_REQUESTED, "%s: the next operation goes on", when);
	tap__equal(state.answered, ASKED, "%s: the operation is answered, not the next one", when);
	tap__ok(added.sequence == ASKED && added.kind == OPERATION_CHECKPOINT,
		"%s: the row is that of the operation", when);
}

int main(void)
{
	tap__plan(12);

	complete(0, false);
	tap__ok(state.operation.phase == PHASE_IDLE && added.status == STATUS_OK && !refused,
		"an answer");
	complete(-EEXIST, false);
	tap__ok(state.operation.phase == PHASE_IDLE && added.status == STATUS_FAILED,
		"no completion file: the operation has failed");
	tap__equal(refused, 1U << OPERATION_CHECKPOINT, "its request is refused");
	tap__equal(reverts, 1, "the checkpoint is taken back");

	complete(0, true);
	test_next_one("an answer while another thread asks");
	complete(-EEXIST, true);
	test_next_one("no completion file while another thread asks");
	tap__equal(refused, 1U << OPERATION_CHECKPOINT, "the request of the operation is refused");
	tap__equal(refused_uid, USER, "it had to be of its user");

	return tap__done();
}
