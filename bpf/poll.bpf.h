/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Polls: the target looks for the completion file, and its operation goes on. A poll claims the
 * operation (PHASE_CLAIMED), so one thread at a time has it. Then it hands over to user space, or
 * copies. While user space is awake, the poll waits for it.
 */
#ifndef BPF_POLL_BPF_H
#define BPF_POLL_BPF_H

/* ---- waiting for user space ---- */

struct wait { /* of a poll, for user space */
	__u64 deadline_ns;
	/* Until this operation is answered, or user space wants the target to stand still.
	 * 0: until the phase is not PREPARING. */
	__u64 sequence;
};

static bool is_waiting(const struct wait *wait)
{
	const volatile struct state *now = &state;
	__u32 phase = now->operation.phase;

	if (wait->sequence) /* the phase is IDLE just before the answer */
		return now->answered < wait->sequence &&
		       (phase == PHASE_COPIED || phase == PHASE_IDLE);
	return phase == PHASE_PREPARING;
}

static long wait_step(__u32 index, struct wait *wait)
{
	return !is_waiting(wait) || bpf_ktime_get_ns() > wait->deadline_ns;
}

/* Waits in this poll while user space works on another processor. Returns whether user space has
 * done its part. Not static, as walk_chunks(). */
__noinline bool wait_for_tracer(__u64 sequence)
{
	struct wait wait = {.sequence = sequence};

	if (!__sync_fetch_and_add(&state.awake, 0))
		return false;
	if (state.waits_to_skip) {
		state.waits_to_skip--;
		return false;
	}
	wait.deadline_ns = bpf_ktime_get_ns() + POLL_WAIT_NS;
	bpf_loop(1 << 16, wait_step, &wait, 0);
	if (!is_waiting(&wait))
		state.waits_skipped /= 2;
	else if (state.waits_skipped < WAITS_SKIPPED_MOST)
		state.waits_skipped = state.waits_skipped * 2 + 1;
	state.waits_to_skip = state.waits_skipped;
	return !is_waiting(&wait);
}

/* ---- copying ---- */

/* Must the target stand still at the end of the poll that has copied? */
static bool is_held_after(const struct operation *operation)
{
	return state.held ||
	       (operation->kind == OPERATION_RESTORE && !restore_in_bpf && !state.quiet);
}

/* Ends this poll's part of the copy. While slabs are left, the next poll goes on. Returns whether
 * the copy is done. Not static: 6.1 would verify all that follows once for each bucket. */
__noinline bool finish_copy(bool failed)
{
	struct operation *operation = &state.operation;
	__u64 rest;
	__u32 bucket = 0, kind = operation->kind;

	operation->copy_ns += bpf_ktime_get_ns() - operation->poll_ns;
	operation->slab_cursor += state.pages_per_poll ? state.pages_per_poll : SLAB_BATCH;
	if (!failed && operation->slab_cursor < state.visits) {
		operation->phase = PHASE_READY;
		return false;
	}
	if (failed)
		count_drop(COUNTER_COPY_FAILED);
	rest = operation->copy_ns;
	for (; bucket < LATENCY_BUCKETS - 1 && rest > 1; bucket++)
		rest >>= 1;
	if (kind < OPERATION_KINDS && bucket < LATENCY_BUCKETS)
		__sync_fetch_and_add(&state.latency[kind][bucket], 1);
	operation->failed = failed;
	operation->phase = PHASE_COPIED;
	send(EVENT_COPIED, 0, 0);
	if (!is_held_after(operation) && !wait_for_tracer(operation->sequence))
		state.ran_after_copy = 1;
	return true;
}

/* Goes on in another program, which does not return. */
static __always_inline void continue_in(void *ctx, enum continuation program)
{
	bpf_tail_call(ctx, &continuations, program);
	count_drop(COUNTER_PROGRAM_MISSING);
	(void)finish_copy(true);
}

/* The page engine's programs end here. */
SEC("?tp/syscalls/sys_enter_access")
int pages_moved(void *ctx)
{
	if (restore_in_bpf && state.operation.kind == OPERATION_RESTORE)
		put_rseq();
	(void)finish_copy(false);
	return 0;
}

/* How many slabs this poll may copy. */
static __u32 batch_size(void)
{
	__u64 cursor = state.operation.slab_cursor, left;

	if (cursor >= state.visits || state.pages_per_poll)
		return 0;
	left = state.visits - cursor;
	return left < SLAB_BATCH ? left : SLAB_BATCH;
}

/* Does this poll visit the store with that number? The first poll of a copy visits all, the others
 * none. The condition of a loop: all of its branches but one leave the loop, as 6.1 needs it. */
#define IS_STORE_DUE(index)                                                                        \
	((index) < CHUNK_STORES && (index) < state.stores && !state.operation.slab_cursor)

/* Not static, as walk_chunks(). They return whether the whole store was visited. */
__noinline bool read_store(__u32 index)
{
	void *store = store_at(index);

	return store && bpf_for_each_map_elem(store, read_chunk, NULL, 0) >= 0;
}

__noinline bool compare_store(__u32 index)
{
	void *store = store_at(index);

	return store && bpf_for_each_map_elem(store, compare_chunk, NULL, 0) >= 0;
}

__noinline bool write_store(__u32 index)
{
	void *store = store_at(index);

	return store && bpf_for_each_map_elem(store, write_chunk, NULL, 0) >= 0;
}

static __always_inline void checkpoint(void *ctx)
{
	bool failed = false;
	__u32 i;

	if (!state.operation.slab_cursor) {
		state.replaced = 0;
		state.replacing = state.valid && state.has_slabs ? state.operation.sequence : 0;
	}
	state.valid = 0;
	for (i = 0; IS_STORE_DUE(i); i++)
		failed |= !read_store(i);
	failed |= bpf_loop(batch_size(), read_slab, NULL, 0) < 0;
	if (state.pages_per_poll && state.visits && !failed)
		continue_in(ctx, CONTINUE_STORE_PAGES);
	else
		(void)finish_copy(failed);
}

/* Where BPF may not write: finds what user space must write. */
static void compare(void)
{
	bool failed = false;
	__u32 i;

	for (i = 0; IS_STORE_DUE(i); i++)
		failed |= !compare_store(i);
	failed |= bpf_loop(batch_size(), compare_slab, NULL, 0) < 0;
	(void)finish_copy(failed);
}

SEC("?tp/syscalls/sys_enter_access")
int restore(void *ctx)
{
	bool failed = false;
	__u32 i;

	keep_rseq();
	for (i = 0; IS_STORE_DUE(i); i++)
		failed |= !write_store(i);
	failed |= bpf_loop(batch_size(), write_slab, NULL, 0) < 0;
	if (state.pages_per_poll && state.visits && !failed) {
		continue_in(ctx, CONTINUE_RESTORE_PAGES);
	} else {
		put_rseq();
		(void)finish_copy(failed);
	}
	return 0;
}

/* ---- handing over to user space ---- */

/* A number that changes with the target's mappings. Since 6.4 the kernel counts every change.
 * Before, the number is made of how many mappings there are, and of their sizes. */
static __u64 mappings_version(void)
{
	struct mm_struct *mm = BPF_CORE_READ(bpf_get_current_task_btf(), mm);
	struct mm_struct___6_4 *mm_6_4 = (void *)mm;
	__u64 version;

	if (!mm)
		return 0;
	if (bpf_core_field_exists(mm->mm_lock_seq))
		return BPF_CORE_READ(mm, mm_lock_seq.sequence);
	if (bpf_core_field_exists(mm_6_4->mm_lock_seq))
		return BPF_CORE_READ(mm_6_4, mm_lock_seq);
	version = BPF_CORE_READ(mm, total_vm);
	version = version * 31 + BPF_CORE_READ(mm, data_vm);
	version = version * 31 + BPF_CORE_READ(mm, exec_vm);
	version = version * 31 + BPF_CORE_READ(mm, stack_vm);
	return version * 31 + BPF_CORE_READ(mm, map_count);
}

/* May a page be written, by the kernel or by a device, though nothing shows it? That is so if it
 * was pinned before it was armed. Buffers that are registered with io_uring, vhost or RDMA are
 * counted. Those of reads under way are not, so a process that may have one is suspected. */
static bool may_be_pinned(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct mm_struct *mm = BPF_CORE_READ(task, mm);

	if (!mm)
		return false;
	return BPF_CORE_READ(mm, pinned_vm.counter) ||
	       (bpf_core_field_exists(mm->ioctx_table) && BPF_CORE_READ(mm, ioctx_table)) ||
	       (bpf_core_field_exists(task->io_uring) && BPF_CORE_READ(task, io_uring));
}

/* Notices pages that are pinned, and changes of mappings that no hook sees. Such changes come from
 * a process that shares the memory (CLONE_VM), from 32-bit system calls, or from the kernel itself.
 * Other threads may run while user space prepares, so the poll that copies looks again. */
static void look_for_changes(void)
{
	__u64 version = mappings_version();
	__u32 pinned = may_be_pinned();

	if (version == state.mappings_version && pinned == state.pinned)
		return;
	state.mappings_version = version;
	state.pinned = pinned;
	defer();
}

/* Must user space act before the copy? first: nothing is done yet. Not static, as walk_chunks(). */
__noinline bool must_prepare(bool first)
{
	const struct operation *operation = &state.operation;

	look_for_changes();
	if (operation->kind == OPERATION_RESTORE && !state.valid)
		return true;
	if (!state.stopped && (operation->threads > 1 || is_held_after(operation) ||
			       (operation->kind == OPERATION_RESTORE && state.threads > 1)))
		return true;
	if (operation->kind == OPERATION_CHECKPOINT && state.unplaced)
		return true;
	return state.prepared != state.deferred ||
	       (first && (state.always_prepare || state.has_slabs || operation->stack));
}

/* Hands the operation over to user space, and waits. Stopping other threads takes long, so with
 * them nobody waits. Returns whether user space is done. Not static, as walk_chunks(). */
__noinline bool hand_over(void)
{
	state.waiting = state.operation.threads < 2;
	if (move_phase(PHASE_CLAIMED, PHASE_PREPARING)) {
		send(EVENT_PREPARE, 0, 0);
		if (state.waiting)
			(void)wait_for_tracer(0);
	}
	__sync_fetch_and_and(&state.waiting, 0);
	return state.operation.phase == PHASE_READY;
}

/* Claims the operation for the current thread, if it is in that phase. Not static, as
 * walk_chunks(). */
__noinline bool claim(__u32 phase)
{
	struct operation *operation = &state.operation;

	if (!move_phase(phase, PHASE_CLAIMED))
		return false;
	operation->tid = target_ids().pid;
	operation->threads = thread_count();
	operation->stack = other_stack();
	return true;
}

/* ---- hooks ---- */

/* A target that looks for the end of a rollback while it waits for its checkpoint will ask for
 * rollbacks. So user space takes the checkpoint, of the whole process. Returns whether it will. Not
 * static, as walk_chunks(). */
__noinline bool begin_for_rollback(void)
{
	if (!claim(PHASE_REQUESTED))
		return false;
	state.for_rollback = 1;
	__sync_fetch_and_and(&state.waiting, 0);
	if (!move_phase(PHASE_CLAIMED, PHASE_PREPARING))
		return false;
	send(EVENT_PREPARE, 0, 0);
	return true;
}

/* Is it the completion file of a rollback, which tells a target that it has come back? */
static bool is_rollback_completion(const char *path, __u64 user_path, __u32 bytes)
{
	__u32 at = state.operation.name_at;

	if (!bpf_strncmp(path, PATH_BYTES, (const char *)rollback_completion))
		return true;
	return at && bytes >= at && is_name(user_path + at - 1, rollback_completion_name);
}

/* Is it the completion file, in the control folder as the target calls it? bytes: length of the
 * path, with its NUL. */
static bool is_other_completion(__u64 user_path, __u32 bytes)
{
	const struct operation *operation = &state.operation;
	__u32 at = operation->name_at;

	if (!at || bytes < at)
		return false;
	if (operation->kind == OPERATION_CHECKPOINT)
		return is_name(user_path + at - 1, checkpoint_completion_name);
	return is_name(user_path + at - 1, restore_completion_name);
}

/* Goes on in the program poll if the path is that of the completion file. */
static __always_inline void on_poll(void *ctx, __u64 user_path)
{
	struct operation *operation = &state.operation;
	bool idle = operation->phase == PHASE_IDLE;
	char path[PATH_BYTES];
	long differs, bytes;

	if (!is_target())
		return;
	if (idle && (operation->kind != OPERATION_RESTORE || state.astray >= ASTRAY_POLLS))
		return;
	bytes = bpf_probe_read_user_str(path, sizeof(path), (void *)user_path);
	if (bytes < 0) {
		count_drop(COUNTER_PATHS_UNREAD);
		return;
	}
	if (idle || operation->kind == OPERATION_CHECKPOINT)
		differs = bpf_strncmp(path, sizeof(path), (const char *)checkpoint_completion);
	else
		differs = bpf_strncmp(path, sizeof(path), (const char *)restore_completion);
	if (idle) { /* has a restore brought it back into the poll of its checkpoint? */
		state.astray += !differs;
		return;
	}
	if (differs && !is_other_completion(user_path, bytes)) {
		if (operation->kind == OPERATION_CHECKPOINT &&
		    is_rollback_completion(path, user_path, bytes))
			(void)begin_for_rollback();
		return;
	}
	bpf_tail_call(ctx, &continuations, CONTINUE_POLL);
	count_drop(COUNTER_PROGRAM_MISSING);
}

/* All three calls below go on here by a tail call, so the verifier looks at it once. */
SEC("?tp/syscalls/sys_enter_access")
int poll(void *ctx)
{
	struct operation *operation = &state.operation;
	__u32 phase = operation->phase;

	__sync_fetch_and_add(&operation->polls, 1);
	if (phase != PHASE_REQUESTED && phase != PHASE_READY)
		return 0;
	if (!claim(phase))
		return 0;
	if (phase == PHASE_READY)
		state.ran_before_copy = 1;
	if (must_prepare(phase == PHASE_REQUESTED)) {
		if (!hand_over() || !claim(PHASE_READY))
			return 0;
		if (must_prepare(false)) {
			(void)hand_over(); /* the next poll copies */
			return 0;
		}
	}
	operation->poll_ns = bpf_ktime_get_ns();
	if (operation->kind == OPERATION_CHECKPOINT)
		checkpoint(ctx);
	else if (!restore_in_bpf)
		compare();
	else
		continue_in(ctx, CONTINUE_RESTORE);
	return 0;
}

SEC("tp/syscalls/sys_enter_access")
int on_access(struct trace_event_raw_sys_enter *ctx)
{
	on_poll(ctx, ctx->args[0]);
	return 0;
}

SEC("tp/syscalls/sys_enter_faccessat")
int on_faccessat(struct trace_event_raw_sys_enter *ctx)
{
	on_poll(ctx, ctx->args[1]);
	return 0;
}

SEC("tp/syscalls/sys_enter_faccessat2")
int on_faccessat2(struct trace_event_raw_sys_enter *ctx)
{
	on_poll(ctx, ctx->args[1]);
	return 0;
}

#endif
