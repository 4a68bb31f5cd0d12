/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Keeps the tracked ranges true while the target changes its mappings. A range changes when the
 * call returns, because a call that fails changes no memory. Before that, another thread may have
 * been given the same addresses. So with several threads the enter of a call announces the chunks
 * that it may drop. Its exit drops only chunks that are still announced: a chunk that was added
 * since is not. A hook that cannot do the work itself leaves it to user space, by raising
 * state.deferred.
 */
#ifndef BPF_RANGES_BPF_H
#define BPF_RANGES_BPF_H

struct call {            /* a system call of the target between its enter and its exit */
	__u64 brk;       /* the program break at the enter of brk */
	int id;          /* of the system call; -1 after its exit */
	__u32 announced; /* whose chunks are announced, enum call_range */
};

/* What a call may drop: what is at its fixed address; what it unmaps or moves. */
enum call_range { RANGE_FIXED = 1, RANGE_OLD = 2 };

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct call);
} calls SEC(".maps");

/* Remembers a call until its exit. NULL when there is no memory for it, which is counted. */
static struct call *call_enter(struct trace_event_raw_sys_enter *ctx)
{
	struct call *call = bpf_task_storage_get(&calls, bpf_get_current_task_btf(), NULL,
						 BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!call) {
		count_drop(COUNTER_CALLS_UNTRACKED);
		defer();
		return NULL;
	}
	if (call->id != (int)ctx->id) {
		call->id = (int)ctx->id;
		call->announced = 0;
	}
	return call;
}

/* What the enter of this call has remembered; all zero if it was nothing. */
static struct call call_exit(struct trace_event_raw_sys_exit *ctx)
{
	struct call *call = bpf_task_storage_get(&calls, bpf_get_current_task_btf(), NULL, 0);
	struct call remembered = {};

	if (call && call->id == (int)ctx->id) {
		remembered = *call;
		call->id = -1;
	}
	return remembered;
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

/* Announces that [start, end) is dropped if the call succeeds. One thread need not: nobody
 * else can be given the addresses. */
static void announce_drop(struct trace_event_raw_sys_enter *ctx, __u64 start, __u64 end,
			  enum call_range which)
{
	struct call *call;

	if (thread_count() < 2 || !is_range(start, end) || is_long(start, end))
		return;
	call = call_enter(ctx);
	if (!call)
		return;
	walk_chunks(start, end, CHUNK_ANNOUNCE);
	call->announced |= which;
}

/* The call has failed, and nothing is dropped. */
static void revoke_drop(__u64 start, __u64 end, bool announced)
{
	if (announced)
		walk_chunks(start, end, CHUNK_REVOKE);
}

static void drop_range(__u64 start, __u64 end, bool announced)
{
	if (!is_range(start, end))
		return;
	if (!is_long(start, end)) {
		walk_chunks(start, end, announced ? CHUNK_DROP_ANNOUNCED : CHUNK_DROP);
		/* another thread's new range may be in there, or have been */
		send(announced ? EVENT_DOOMED : EVENT_DROPPED, start, end);
		if (announced)
			defer();
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
	if (is_target() && ctx->args[3] & MAP_FIXED)
		announce_drop(ctx, ctx->args[0], ctx->args[0] + PAGE_ALIGN(ctx->args[1]),
			      RANGE_FIXED);
	return 0;
}

/* A new mapping has come to an address that the kernel chose. What was here before is gone, though
 * no hook may have seen it go: a call that fails can have unmapped its fixed address. */
static void replace_unseen(__u64 start, __u64 end)
{
	if (!is_range(start, end))
		return;
	send(EVENT_DOOMED, start, end);
	defer();
}

/* The old range at a fixed address is gone if the call succeeds. With ENOMEM it may be gone too.
 * With EFAULT an mremap may have moved the first of several mappings. */
static void end_fixed(__u64 start, __u64 end, long result, bool announced)
{
	if (!is_error(result) || result == -ENOMEM || result == -EFAULT)
		drop_range(start, end, announced);
	else
		revoke_drop(start, end, announced);
	if (is_error(result))
		defer();
}

SEC("tp/syscalls/sys_exit_mmap")
int on_mmap_exit(struct trace_event_raw_sys_exit *ctx)
{
	__u64 start, bytes, flags;
	struct call call;

	if (!is_target())
		return 0;
	call = call_exit(ctx);
	start = argument(0);
	bytes = PAGE_ALIGN(argument(1));
	flags = argument(3);
	if (flags & MAP_FIXED)
		end_fixed(start, start + bytes, ctx->ret, call.announced & RANGE_FIXED);
	if (is_error(ctx->ret))
		return 0;
	if (!(flags & MAP_FIXED))
		replace_unseen(ctx->ret, ctx->ret + bytes);
	if (!(flags & MAP_ANONYMOUS) || !track_mmap)
		return 0;
	if (flags & MAP_GROWSDOWN)
		state.always_prepare = 1;
	if (flags & (MAP_HUGETLB | MAP_GROWSDOWN))
		defer(); /* only the kernel knows where it ends */
	else if (argument(2) & (PROT_READ | PROT_WRITE | PROT_EXEC))
		add_range(ctx->ret, ctx->ret + bytes);
	return 0;
}

SEC("tp/syscalls/sys_enter_munmap")
int on_munmap_enter(struct trace_event_raw_sys_enter *ctx)
{
	if (is_target())
		announce_drop(ctx, ctx->args[0], ctx->args[0] + PAGE_ALIGN(ctx->args[1]),
			      RANGE_OLD);
	return 0;
}

SEC("tp/syscalls/sys_exit_munmap")
int on_munmap_exit(struct trace_event_raw_sys_exit *ctx)
{
	struct call call;
	__u64 start, end;

	if (!is_target())
		return 0;
	call = call_exit(ctx);
	start = argument(0);
	end = start + PAGE_ALIGN(argument(1));
	if (!ctx->ret) {
		drop_range(start, end, call.announced & RANGE_OLD);
		return 0;
	}
	revoke_drop(start, end, call.announced & RANGE_OLD);
	defer();
	return 0;
}

SEC("tp/syscalls/sys_enter_mremap")
int on_mremap_enter(struct trace_event_raw_sys_enter *ctx)
{
	if (!is_target())
		return 0;
	if (ctx->args[3] & MREMAP_FIXED)
		announce_drop(ctx, ctx->args[4], ctx->args[4] + PAGE_ALIGN(ctx->args[2]),
			      RANGE_FIXED);
	announce_drop(ctx, ctx->args[0], ctx->args[0] + PAGE_ALIGN(ctx->args[1]), RANGE_OLD);
	return 0;
}

/* keep: the old range stays mapped although it has moved. */
static void move_range(__u64 old, __u64 old_end, __u64 new, __u64 new_end, bool keep,
		       bool announced)
{
	bool tracked = has_chunk(old);
	__u64 kept = old_end; /* the end of what stays of the old range */

	if (new != old && !keep)
		kept = old;
	else if (new == old && new_end < old_end)
		kept = new_end;
	revoke_drop(old, kept, announced);
	drop_range(kept, old_end, announced);
	replace_unseen(new != old ? new : old_end, new_end);
	if (is_long(old, old_end) || !tracked)
		defer();
	else if (new != old)
		add_range(new, new_end);
	else
		add_range(old_end, new_end);
}

SEC("tp/syscalls/sys_exit_mremap")
int on_mremap_exit(struct trace_event_raw_sys_exit *ctx)
{
	long result = ctx->ret;
	__u64 old, old_end, flags;
	struct call call;
	bool announced;

	if (!is_target())
		return 0;
	call = call_exit(ctx);
	announced = call.announced & RANGE_OLD;
	old = argument(0);
	old_end = old + PAGE_ALIGN(argument(1));
	flags = argument(3);
	if (flags & MREMAP_FIXED)
		end_fixed(argument(4), argument(4) + PAGE_ALIGN(argument(2)), result,
			  call.announced & RANGE_FIXED);
	if (result == -EFAULT && state.operation.sequence) /* nothing is armed before */
		count_drop(COUNTER_MOVES_REFUSED);
	if (is_error(result))
		revoke_drop(old, old_end, announced);
	else if (is_range(old, old_end))
		move_range(old, old_end, result, result + PAGE_ALIGN(argument(2)),
			   flags & MREMAP_DONTUNMAP, announced);
	else
		defer(); /* old size 0 makes a second view of shared memory */
	return 0;
}

/* Memory without access (PROT_NONE) is not registered; it is when it gets access. */
SEC("tp/syscalls/sys_exit_mprotect")
int on_mprotect_exit(struct trace_event_raw_sys_exit *ctx)
{
	__u64 start, end;

	if (!is_target() || ctx->ret || !(argument(2) & (PROT_READ | PROT_WRITE | PROT_EXEC)))
		return 0;
	start = argument(0);
	end = start + PAGE_ALIGN(argument(1));
	if (!has_chunk(start) || !has_chunk(end - CHUNK_BYTES))
		defer();
	return 0;
}

static __u64 program_break(void)
{
	return BPF_CORE_READ(bpf_get_current_task_btf(), mm, brk);
}

SEC("tp/syscalls/sys_enter_brk")
int on_brk_enter(struct trace_event_raw_sys_enter *ctx)
{
	__u64 wanted = ctx->args[0], now;
	struct call *call;

	if (!is_target() || !wanted)
		return 0;
	call = call_enter(ctx);
	if (!call)
		return 0;
	now = call->brk = program_break();
	if (wanted < now)
		announce_drop(ctx, PAGE_ALIGN(wanted), PAGE_ALIGN(now), RANGE_OLD);
	return 0;
}

SEC("tp/syscalls/sys_exit_brk")
int on_brk_exit(struct trace_event_raw_sys_exit *ctx)
{
	__u64 now = ctx->ret;
	struct call call;
	bool announced;

	if (!is_target())
		return 0;
	call = call_exit(ctx);
	announced = call.announced & RANGE_OLD;
	if (!call.brk)
		return 0; /* it only asks where the break is */
	if (now > call.brk)
		add_range(PAGE_ALIGN(call.brk), PAGE_ALIGN(now));
	else if (now < call.brk)
		drop_range(PAGE_ALIGN(now), PAGE_ALIGN(call.brk), announced);
	else
		revoke_drop(PAGE_ALIGN(argument(0)), PAGE_ALIGN(call.brk), announced);
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
