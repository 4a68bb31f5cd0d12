/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Keeps the tracked ranges true while the target changes its mappings. What goes is dropped when
 * the call is entered, what comes is added when it has succeeded: in between another thread may
 * already have been given the same addresses. What a hook cannot do by itself, because it is too
 * long or because it cannot know, it leaves to user space by raising state.deferred.
 */
#ifndef BPF_RANGES_BPF_H
#define BPF_RANGES_BPF_H

struct call { /* a system call of the target between its enter and its exit */
	__u64 args[5];
	__u64 brk; /* the program break when it was entered */
	int id;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct call);
} calls SEC(".maps");

/* Remembers a call at its enter; NULL when there is no memory for it, which is counted. count: of
 * the arguments that the call has; a program that reads behind them cannot be attached. */
static __always_inline struct call *call_enter(struct trace_event_raw_sys_enter *ctx, int count)
{
	struct call *call = bpf_task_storage_get(&calls, bpf_get_current_task_btf(), NULL,
						 BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!call) {
		count_drop(COUNTER_CALLS_UNTRACKED);
		defer();
		return NULL;
	}
	call->id = (int)ctx->id;
	call->args[0] = ctx->args[0];
	if (count > 1)
		call->args[1] = ctx->args[1];
	if (count > 2)
		call->args[2] = ctx->args[2];
	if (count > 3)
		call->args[3] = ctx->args[3];
	if (count > 4)
		call->args[4] = ctx->args[4];
	return call;
}

/* The call that ends now, or NULL when its enter was not seen. */
static struct call *call_exit(struct trace_event_raw_sys_exit *ctx)
{
	struct call *call = bpf_task_storage_get(&calls, bpf_get_current_task_btf(), NULL, 0);

	if (!call || call->id != (int)ctx->id)
		return NULL;
	call->id = -1;
	return call;
}

static bool is_range(__u64 start, __u64 end)
{
	return start < end && !(start & (PAGE_BYTES - 1));
}

/* Is [start, end) too long for a hook to visit its chunks? Most such ranges have none: they are kept
 * in slabs. */
static bool is_long(__u64 start, __u64 end)
{
	return end - start >= state.slab_threshold || (end - start) / CHUNK_BYTES > HOOK_CHUNKS;
}

static void add_range(__u64 start, __u64 end)
{
	__u64 done;

	if (!is_range(start, end))
		return;
	if (end - start >= state.slab_threshold) {
		defer();
		return;
	}
	done = walk_chunks(start, end, CHUNK_ADD);
	if (done > start)
		send(EVENT_ADDED, start, done);
	if (done == end)
		return;
	if (done - start < (__u64)HOOK_CHUNKS * CHUNK_BYTES)
		send(EVENT_REFUSED, done, end);
	else
		count_drop(COUNTER_RANGES_DEFERRED);
	defer();
}

static void drop_range(__u64 start, __u64 end)
{
	if (!is_range(start, end))
		return;
	if (!is_long(start, end)) {
		walk_chunks(start, end, CHUNK_DROP);
		send(EVENT_DROPPED, start, end);
		return;
	}
	if (end - start < state.slab_threshold)
		count_drop(COUNTER_RANGES_DEFERRED);
	send(EVENT_DOOMED, start, end);
	defer();
}

SEC("tp/syscalls/sys_enter_mmap")
int on_mmap_enter(struct trace_event_raw_sys_enter *ctx)
{
	struct call *call;

	if (!is_target())
		return 0;
	call = call_enter(ctx, 4);
	if (call && call->args[3] & MAP_FIXED && !is_long(0, PAGE_ALIGN(call->args[1])))
		walk_chunks(call->args[0], call->args[0] + PAGE_ALIGN(call->args[1]), CHUNK_MARK);
	return 0;
}

/* What MAP_FIXED has replaced is gone, unless the call has failed. Until then it was only marked;
 * what another thread has put there meanwhile has no mark. */
static void replace_range(__u64 start, __u64 end, bool failed)
{
	if (!is_range(start, end))
		return;
	if (is_long(start, end)) {
		if (!failed)
			drop_range(start, end);
		return;
	}
	walk_chunks(start, end, failed ? CHUNK_UNMARK : CHUNK_DROP_MARKED);
	if (!failed)
		send(EVENT_DROPPED, start, end);
}

SEC("tp/syscalls/sys_exit_mmap")
int on_mmap_exit(struct trace_event_raw_sys_exit *ctx)
{
	struct call *call;
	__u64 flags;

	if (!is_target())
		return 0;
	call = call_exit(ctx);
	if (!call)
		return 0;
	flags = call->args[3];
	if (flags & MAP_FIXED)
		replace_range(call->args[0], call->args[0] + PAGE_ALIGN(call->args[1]),
			      ctx->ret < 0 && ctx->ret > -4096);
	if (ctx->ret < 0 && ctx->ret > -4096)
		return 0;
	if (!(flags & MAP_ANONYMOUS) || !track_mmap)
		return 0;
	if (flags & MAP_GROWSDOWN)
		state.always_prepare = 1;
	if (flags & (MAP_HUGETLB | MAP_GROWSDOWN))
		defer(); /* only the kernel knows where it ends */
	else if (call->args[2] & (PROT_READ | PROT_WRITE | PROT_EXEC))
		add_range(ctx->ret, ctx->ret + PAGE_ALIGN(call->args[1]));
	return 0;
}

SEC("tp/syscalls/sys_enter_munmap")
int on_munmap_enter(struct trace_event_raw_sys_enter *ctx)
{
	if (!is_target() || !call_enter(ctx, 2))
		return 0;
	drop_range(ctx->args[0], ctx->args[0] + PAGE_ALIGN(ctx->args[1]));
	return 0;
}

SEC("tp/syscalls/sys_exit_munmap")
int on_munmap_exit(struct trace_event_raw_sys_exit *ctx)
{
	if (is_target() && call_exit(ctx) && ctx->ret)
		defer();
	return 0;
}

/* While it lasts nobody knows whether the range moves: its chunks are marked, and another thread
 * that maps something in its place registers new ones, without the mark. */
SEC("tp/syscalls/sys_enter_mremap")
int on_mremap_enter(struct trace_event_raw_sys_enter *ctx)
{
	struct call *call;

	if (!is_target())
		return 0;
	call = call_enter(ctx, 5);
	if (!call)
		return 0;
	if (call->args[3] & MREMAP_FIXED)
		drop_range(call->args[4], call->args[4] + PAGE_ALIGN(call->args[2]));
	if (!is_long(0, PAGE_ALIGN(call->args[1])))
		walk_chunks(call->args[0], call->args[0] + PAGE_ALIGN(call->args[1]), CHUNK_MARK);
	return 0;
}

static void move_range(__u64 old, __u64 old_end, __u64 new, __u64 new_end, bool keep)
{
	bool tracked = find_chunk(old) != NULL;

	if (is_long(old, old_end) || !tracked) {
		if (new != old && !keep)
			drop_range(old, old_end);
		else if (new == old && new_end < old_end)
			drop_range(new_end, old_end);
		defer();
		return;
	}
	if (new == old) {
		walk_chunks(old, old_end, CHUNK_UNMARK);
		if (new_end < old_end)
			drop_range(new_end, old_end);
		else
			add_range(old_end, new_end);
		return;
	}
	if (!keep) {
		walk_chunks(old, old_end, CHUNK_DROP_MARKED);
		send(EVENT_DROPPED, old, old_end);
		if (thread_count() > 1)
			defer(); /* another thread's new range may be in there */
	} else {
		walk_chunks(old, old_end, CHUNK_UNMARK);
	}
	add_range(new, new_end);
}

SEC("tp/syscalls/sys_exit_mremap")
int on_mremap_exit(struct trace_event_raw_sys_exit *ctx)
{
	struct call *call;
	__u64 old, old_end;

	if (!is_target())
		return 0;
	call = call_exit(ctx);
	if (!call)
		return 0;
	old = call->args[0];
	old_end = old + PAGE_ALIGN(call->args[1]);
	if (ctx->ret < 0 && ctx->ret > -4096) {
		walk_chunks(old, old_end, CHUNK_UNMARK);
		if (call->args[3] & MREMAP_FIXED)
			defer();
		return 0;
	}
	if (is_range(old, old_end))
		move_range(old, old_end, ctx->ret, ctx->ret + PAGE_ALIGN(call->args[2]),
			   call->args[3] & MREMAP_DONTUNMAP);
	else
		defer(); /* old size 0 makes a second view of shared memory */
	return 0;
}

SEC("tp/syscalls/sys_enter_mprotect")
int on_mprotect_enter(struct trace_event_raw_sys_enter *ctx)
{
	if (is_target())
		(void)call_enter(ctx, 3);
	return 0;
}

/* Memory that was reserved without access (PROT_NONE) is tracked from the day it gets some. */
SEC("tp/syscalls/sys_exit_mprotect")
int on_mprotect_exit(struct trace_event_raw_sys_exit *ctx)
{
	struct call *call;

	if (!is_target())
		return 0;
	call = call_exit(ctx);
	if (!call || ctx->ret || !(call->args[2] & (PROT_READ | PROT_WRITE | PROT_EXEC)))
		return 0;
	if (!find_chunk(call->args[0]) ||
	    !find_chunk(call->args[0] + PAGE_ALIGN(call->args[1]) - CHUNK_BYTES))
		defer();
	return 0;
}

static __u64 program_break(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return task->mm ? task->mm->brk : 0;
}

SEC("tp/syscalls/sys_enter_brk")
int on_brk_enter(struct trace_event_raw_sys_enter *ctx)
{
	struct call *call;

	if (!is_target())
		return 0;
	call = call_enter(ctx, 1);
	if (!call)
		return 0;
	call->brk = program_break();
	if (call->args[0] && call->args[0] < call->brk)
		drop_range(PAGE_ALIGN(call->args[0]), PAGE_ALIGN(call->brk));
	return 0;
}

SEC("tp/syscalls/sys_exit_brk")
int on_brk_exit(struct trace_event_raw_sys_exit *ctx)
{
	struct call *call;
	__u64 now;

	if (!is_target() || !track_heap)
		return 0;
	call = call_exit(ctx);
	if (!call)
		return 0;
	now = ctx->ret;
	if (now > call->brk)
		add_range(PAGE_ALIGN(call->brk), PAGE_ALIGN(now));
	else if (call->args[0] && call->args[0] < now)
		defer(); /* it did not shrink after all */
	return 0;
}

/* System V shared memory may be attached over a tracked range (SHM_REMAP). */
SEC("tp/syscalls/sys_exit_shmat")
int on_shmat_exit(struct trace_event_raw_sys_exit *ctx)
{
	if (is_target())
		defer();
	return 0;
}

#endif
