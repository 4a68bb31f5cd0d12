/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See target.h. state->stopped is true to the kernel side from target__stop() to target__release().
 */
#include "target/target.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "target/reason.h"
#include "target/userfault.h"

enum { COPY_NS = 200000 }; /* a poll that copies some hundred chunks or pages ends sooner */

int target__open(struct target *target, struct state *state, uint32_t regions, bool child,
		 const char *name)
{
	*target = (struct target){
		.state = state, .child = child, .main_stack_tracked = regions & REGION_STACK};
	snprintf(target->comm, sizeof(target->comm), "%.15s", name);
	return regions__create(regions, &target->regions);
}

static void read_comm(struct target *target)
{
	char comm[sizeof(target->comm)];
	ssize_t length = procfs__string(target->pid, "comm", comm, sizeof(comm));

	if (length > 1)
		snprintf(target->comm, (size_t)length, "%s", comm); /* without its newline */
}

/* valgrind keeps the registers of the program that it runs in its own memory. If they were rolled
 * back, the program would go on where it was at the checkpoint, on the stack of now. */
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
	rseq__forget(&target->rseq);
	if (target->main_stack_tracked)
		target->state->always_prepare = 1; /* BPF must not restore unasked */
	read_comm(target);
	target->emulated = is_emulated(pid);
	err = freeze__create(pid, target->child, &target->freeze);
	return err ? err : memory__open(pid, &target->memory);
}

/* Is the file that /proc/PID/name leads to another one than the caller's? */
static bool is_other(pid_t pid, const char *name)
{
	struct stat its, own;

	return !procfs__stat(pid, name, &its) && !procfs__stat(0, name, &own) &&
	       (its.st_dev != own.st_dev || its.st_ino != own.st_ino);
}

bool target__is_elsewhere(const struct target *target)
{
	return is_other(target->pid, "root") || is_other(target->pid, "ns/mnt");
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

/* Reads the list. A process with one thread, which is most often so, costs nothing. */
static int read_threads(const struct target *target, struct threads *ret_threads)
{
	if (target->state->operation.threads == 1)
		return threads__alone(target->pid, ret_threads);
	return threads__read(target->pid, ret_threads);
}

int target__remember_threads(struct target *target)
{
	struct threads threads = {0};
	int err = read_threads(target, &threads);

	if (err)
		return err;
	threads__clear(&target->threads);
	target->threads = threads;
	target->state->threads = (uint32_t)threads.count;
	return 0;
}

int target__check_threads(const struct target *target, char *text, size_t size)
{
	struct threads now = {0};
	int err;

	if (target->state->operation.threads == 1 && target->threads.count == 1)
		return 0;
	err = read_threads(target, &now);
	if (!err && !threads__are_same(&target->threads, &now, text, size))
		err = -REASON_THREADS_CHANGED;
	threads__clear(&now);
	return err;
}

int target__check_stack(const struct target *target, const struct intervals *ranges)
{
	const struct operation *operation = &target->state->operation;
	uint64_t stack = operation->stack;

	if (!stack)
		return operation->kind == OPERATION_RESTORE && target->main_stack_tracked
			       ? -REASON_MAIN_STACK
			       : 0;
	for (size_t i = 0; i < ranges->count; i++)
		if (stack >= ranges->items[i].start && stack < ranges->items[i].end)
			return -REASON_STACK_TRACKED;
	return 0;
}

int target__cause(const struct target *target, int err)
{
	uint64_t size;

	return err == -ESRCH && !procfs__status_u64((pid_t)target->state->operation.tid, "VmSize",
						    &size)
		       ? -REASON_LEADER_ENDED
		       : err;
}

static int keep_rseq(pid_t tid, void *argument)
{
	struct target *target = argument;

	return rseq__keep(&target->rseq, target->memory, tid);
}

/* Keeps what a restore must not change of the stopped threads. What is kept already stays as it
 * is: a part of the restore may have been written since. */
static int keep_areas(struct target *target)
{
	if (target->state->operation.kind != OPERATION_RESTORE || target->rseq.count)
		return 0;
	return freeze__for_each(target->freeze, keep_rseq, target);
}

/* All threads stand still, the one that asked inside a poll. It may have been moved until now. */
static int set_held(struct target *target)
{
	target->held = true;
	rseq__forget(&target->rseq);
	return keep_areas(target);
}

int target__stop(struct target *target, pid_t except)
{
	int err;

	if (target->state->awake) /* there is another processor, on which it polls */
		freeze__stay_awake(target->freeze, COPY_NS);
	err = freeze__stop(target->freeze, except);
	target->state->stopped = !err;
	return err || !except ? err : keep_areas(target);
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
		err = set_held(target);
	return err;
}

/* Not if an exec has ended the operation. */
static bool move_phase(struct target *target, uint32_t from, uint32_t to)
{
	return __atomic_compare_exchange_n(&target->state->operation.phase, &from, to, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

int target__hold_in_poll(struct target *target)
{
	struct state *state = target->state;
	int err = freeze__interrupt(target->freeze, (pid_t)state->operation.tid);
	bool is_over;

	if (err) {
		freeze__release(target->freeze);
		return err;
	}
	is_over = !move_phase(target, PHASE_COPIED, PHASE_PREPARING); /* this ends the wait */
	err = target__stop(target, 0);
	if (is_over || !move_phase(target, PHASE_PREPARING, PHASE_COPIED))
		return err ? err : -REASON_EXECED;
	if (err || __atomic_load_n(&state->ran_after_copy, __ATOMIC_SEQ_CST))
		return err;
	return set_held(target);
}

int target__step(struct target *target)
{
	struct operation *operation = &target->state->operation;
	int err;

	err = freeze__step_to_poll(target->freeze, (pid_t)operation->tid, &operation->polls);
	return err ? err : set_held(target);
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
	rseq__put(&target->rseq, target->memory);
	err = target__hold_in_poll(target);
	if (err || target->held)
		return err;
	err = target__step(target);
	if (err)
		return err;
	return target->state->operation.phase == PHASE_COPIED ? 0 : -REASON_EXECED;
}

void target__release(struct target *target)
{
	rseq__put(&target->rseq, target->memory);
	target->state->stopped = 0;
	target->held = false;
	freeze__release(target->freeze);
}

void target__close(struct target *target)
{
	freeze__free(target->freeze);
	memory__free(target->memory);
	regions__free(target->regions);
	threads__clear(&target->threads);
	rseq__clear(&target->rseq);
	*target = (struct target){0};
}
