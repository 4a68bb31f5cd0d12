/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Keeps the tracked ranges true while the target changes its mappings: when a call has succeeded,
 * for one that fails leaves memory as it is. Meanwhile another thread may already have been given
 * the same addresses; so where there is one, what goes is marked when the call is entered, and what
 * is dropped in the end is what still has the mark. What a hook cannot do by itself, because it is
 * too long or because it cannot know, it leaves to user space by raising state.deferred.
 */
#ifndef BPF_RANGES_BPF_H
#define BPF_RANGES_BPF_H

struct call { /* a system call of the target between its enter and its exit */
	__u64 args[5];
	__u64 brk; /* the program break when it was entered */
	int id;
	__u32 marked; /* what it is to drop bears the mark */
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
	call->marked = 0;
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

static bool is_error(long result)
{
	return result < 0 && result > -4096;
}

static bool is_range(__u64 start, __u64 end)
{
	return start < end && !(start & (PAGE_BYTES - 1));
}

/* Is [start, end) too long for a hook to visit its chunks? Most such ranges have
 * none: they are kept in slabs. */
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

/* [start, end) will be dropped if the call succeeds. */
static void announce_drop(struct call *call, __u64 start, __u64 end)
{
	if (thread_count() < 2 || !is_range(start, end) || is_long(start, end))
		return;
	walk_chunks(start, end, CHUNK_MARK);
	call->marked = 1;
}

/* The call has failed, and nothing is dropped. */
static void revoke_drop(struct call *call, __u64 start, __u64 end)
{
	if (call->marked)
		walk_chunks(start, end, CHUNK_UNMARK);
}

static void drop_range(__u64 start, __u64 end, bool marked)
{
	if (!is_range(start, end))
		return;
	if (!is_long(start, end)) {
		walk_chunks(start, end, marked ? CHUNK_DROP_MARKED : CHUNK_DROP);
		send(EVENT_DROPPED, start, end);
		if (marked)
			defer(); /* another thread's new range may be in there */
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
	if (call && call->args[3] & MAP_FIXED)
		announce_drop(call, call->args[0], call->args[0] + PAGE_ALIGN(call->args[1]));
	return 0;
}

/* What was at the fixed address is gone, also when memory ran out after it was unmapped. */
static void end_fixed(struct call *call, __u64 start, __u64 end, long result)
{
	if (!is_error(result) || result == -ENOMEM)
		drop_range(start, end, call->marked);
	else
		revoke_drop(call, start, end);
	if (is_error(result))
		defer();
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
		end_fixed(call, call->args[0], call->args[0] + PAGE_ALIGN(call->args[1]), ctx->ret);
	if (is_error(ctx->ret))
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
	struct call *call;

	if (!is_target())
		return 0;
	call = call_enter(ctx, 2);
	if (call)
		announce_drop(call, ctx->args[0], ctx->args[0] + PAGE_ALIGN(ctx->args[1]));
	return 0;
}

SEC("tp/syscalls/sys_exit_munmap")
int on_munmap_exit(struct trace_event_raw_sys_exit *ctx)
{
	struct call *call;
	__u64 start, end;

	if (!is_target())
		return 0;
	call = call_exit(ctx);
	if (!call)
		return 0;
	start = call->args[0];
	end = start + PAGE_ALIGN(call->args[1]);
	if (!ctx->ret) {
		drop_range(start, end, call->marked);
		return 0;
	}
	revoke_drop(call, start, end);
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
		announce_drop(call, call->args[4], call->args[4] + PAGE_ALIGN(call->args[2]));
	if (!is_long(0, PAGE_ALIGN(call->args[1])))
		walk_chunks(call->args[0], call->args[0] + PAGE_ALIGN(call->args[1]), CHUNK_MARK);
	return 0;
}

static void move_range(__u64 old, __u64 old_end, __u64 new, __u64 new_end, bool keep)
{
	bool tracked = find_chunk(old) != NULL;

	if (is_long(old, old_end) || !tracked) {
		if (new != old && !keep)
			drop_range(old, old_end, false);
		else if (new == old && new_end < old_end)
			drop_range(new_end, old_end, false);
		defer();
		return;
	}
	if (new == old) {
		walk_chunks(old, old_end, CHUNK_UNMARK);
		if (new_end < old_end)
			drop_range(new_end, old_end, false);
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
	if (call->args[3] & MREMAP_FIXED)
		end_fixed(call, call->args[4], call->args[4] + PAGE_ALIGN(call->args[2]), ctx->ret);
	if (is_error(ctx->ret)) {
		walk_chunks(old, old_end, CHUNK_UNMARK);
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

/* Memory that was reserved without access (PROT_NONE) is registered from the day it gets some. */
SEC("tp/syscalls/sys_exit_mprotect")
int on_mprotect_exit(struct trace_event_raw_sys_exit *ctx)
{
	struct call *call;
	__u64 start, end;

	if (!is_target())
		return 0;
	call = call_exit(ctx);
	if (!call || ctx->ret || !(call->args[2] & (PROT_READ | PROT_WRITE | PROT_EXEC)))
		return 0;
	start = call->args[0];
	end = start + PAGE_ALIGN(call->args[1]);
	if (find_chunk(start) && find_chunk(end - CHUNK_BYTES))
		return 0;
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
		announce_drop(call, PAGE_ALIGN(call->args[0]), PAGE_ALIGN(call->brk));
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
	else if (now < call->brk)
		drop_range(PAGE_ALIGN(now), PAGE_ALIGN(call->brk), call->marked);
	else
		revoke_drop(call, PAGE_ALIGN(call->args[0]), PAGE_ALIGN(call->brk));
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
