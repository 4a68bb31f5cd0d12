/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See target.h. state->stopped is true to the kernel side from target__stop() to target__release().
 */
#include "target/target.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include "target/reason.h"
#include "target/userfault.h"

int target__open(struct target *target, struct state *state, uint32_t regions, bool child)
{
	*target = (struct target){.state = state, .child = child};
	return regions__create(regions, &target->regions);
}

static void read_comm(struct target *target)
{
	ssize_t length = procfs__read(target->pid, "comm", target->comm, sizeof(target->comm) - 1);

	target->comm[length > 0 ? length - 1 : 0] = '\0'; /* without its newline */
}

/* valgrind keeps the registers of the program that it runs in its own memory: rolled back, the
 * program would go on where it was at the checkpoint, on a stack that is another one by now. */
static bool is_emulated(pid_t pid)
{
	char name[PATH_MAX];

	return procfs__readlink(pid, "exe", name, sizeof(name)) > 0 && strstr(name, "/valgrind/");
}

int target__exec(struct target *target, pid_t pid)
{
	int err;

	target->pid = pid;
	target->changed = true;
	regions__forget(target->regions);
	memory__free(target->memory);
	target->memory = NULL;
	freeze__free(target->freeze);
	target->freeze = NULL;
	target->held = false;
	read_comm(target);
	target->emulated = is_emulated(pid);
	err = freeze__create(pid, target->child, &target->freeze);
	return err ? err : memory__open(pid, &target->memory);
}

int target__wanted(struct target *target, const struct intervals *tracked,
		   struct intervals *ret_wanted, struct intervals *ret_reserved)
{
	int err;

	if (!target->memory)
		return -ESRCH;
	if (target->emulated)
		return -REASON_EMULATED;
	err = memory__refresh(target->memory);
	if (err)
		return err;
	target->changed = false;
	return regions__wanted(target->regions, target->pid, memory__mappings(target->memory),
			       tracked, ret_wanted, ret_reserved);
}

int target__look_again(struct target *target)
{
	int err = memory__look_again(target->memory, target->changed);

	if (!err)
		target->changed = false;
	return err;
}

int target__check_userfault(const struct target *target, const struct intervals *ranges)
{
	return userfault__check(target->pid, ranges);
}

int target__stop(struct target *target, pid_t except)
{
	int err = freeze__stop(target->freeze, except);

	target->state->stopped = !err;
	return err;
}

int target__stop_in_poll(struct target *target)
{
	const struct state *state = target->state;
	int err;

	if (!__atomic_load_n(&state->waiting, __ATOMIC_SEQ_CST))
		return target__stop(target, 0);
	err = freeze__interrupt(target->freeze, target->pid);
	if (err)
		freeze__release(target->freeze);
	else if (!__atomic_load_n(&state->waiting, __ATOMIC_SEQ_CST))
		err = freeze__stop(target->freeze, 0);
	target->state->stopped = !err;
	return err;
}

int target__finish_poll(struct target *target)
{
	int err = target__stop(target, 0);

	if (!err && target->state->operation.phase == PHASE_COPIED)
		target->held = true;
	return err;
}

int target__step(struct target *target)
{
	struct operation *operation = &target->state->operation;
	int err;

	err = freeze__step_to_poll(target->freeze, (pid_t)operation->tid, &operation->polls);
	if (!err)
		target->held = true;
	return err;
}

void target__repeat_poll(const struct target *target)
{
	if (target->held)
		freeze__repeat_poll(target->freeze, (pid_t)target->state->operation.tid);
}

int target__hold(struct target *target)
{
	int err;

	if (target->held)
		return 0;
	err = target__stop(target, 0);
	return err ? err : target__step(target);
}

void target__release(struct target *target)
{
	target->state->stopped = 0;
	target->held = false;
	freeze__release(target->freeze);
}

void target__close(struct target *target)
{
	freeze__free(target->freeze);
	memory__free(target->memory);
	regions__free(target->regions);
	*target = (struct target){0};
}
