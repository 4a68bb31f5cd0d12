/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The kernel side of tracer, one object. A hook of execve finds the target. Hooks of the mmap
 * family follow its ranges (ranges.bpf.h). The open of a request file starts an operation, and a
 * poll of the completion file copies (chunk.bpf.h, slab.bpf.h), in the target's own context.
 *
 * Every program returns at once in a process that is not the target. Only the program restore
 * writes to user memory. It is optional: a locked-down kernel refuses to load it.
 */
#include <stdbool.h>
#include "kernel.h"
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "tracer.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Configuration, set before the load. */
const volatile __u64 namespace_device; /* of the tracer's PID namespace */
const volatile __u64 namespace_inode;
const volatile __u64 folder_inode; /* of the control folder, as the kernel numbers them */
const volatile __u32 folder_device;
const volatile __u8 track_mmap;
const volatile __u8 restore_in_bpf;        /* the restore program is loaded */
const volatile __u8 restore_all;           /* write slabs back without comparing them */
const volatile __u8 verify;                /* keep checksums of slabs, and compare them */
const volatile char wait_name[NAME_BYTES]; /* "" in run mode */
const volatile __u32 wait_length;
const volatile char checkpoint_request[PATH_BYTES];
const volatile char checkpoint_completion[PATH_BYTES];
const volatile char restore_request[PATH_BYTES];
const volatile char restore_completion[PATH_BYTES];

struct state state;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, CONTINUATIONS);
	__type(key, __u32);
	__type(value, __u32);
} continuations SEC(".maps");

static void count_drop(enum counter counter)
{
	__sync_fetch_and_add(&state.counters[counter], 1);
}

/* User space must look at the target's mappings before the next copy. */
static void defer(void)
{
	__sync_fetch_and_add(&state.deferred, 1);
}

static bool is_target(void)
{
	return state.target && bpf_get_current_pid_tgid() >> 32 == state.target;
}

/* Pid and tid as the tracer sees them, in its PID namespace; 0 for a process outside of it. */
static struct bpf_pidns_info visible_ids(void)
{
	struct bpf_pidns_info ids = {};

	if (bpf_get_ns_current_pid_tgid(namespace_device, namespace_inode, &ids, sizeof(ids)))
		ids.pid = ids.tgid = 0;
	return ids;
}

static __u32 thread_count(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return task->signal->nr_threads;
}

/* An argument of the system call that the current thread returns from. Its registers still hold
 * them: x86-64 changes only rax, rcx and r11. */
static __u64 argument(__u32 number)
{
	struct pt_regs *registers = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());

	switch (number) {
	case 0:
		return registers->di;
	case 1:
		return registers->si;
	case 2:
		return registers->dx;
	case 3:
		return registers->r10;
	default:
		return registers->r8;
	}
}

/* The stack pointer of the current thread; 0 if it is on the stack that the process began with. */
static __u64 other_stack(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pt_regs *registers = (void *)bpf_task_pt_regs(task);
	struct mm_struct *mm = task->mm;
	__u64 pointer = registers->sp;

	if (mm && mm->start_stack - pointer <= mm->stack_vm * PAGE_BYTES)
		return 0;
	return pointer;
}

/* Puts an event into the ring without waking anybody. */
static bool put_event(enum event_kind kind, __u64 start, __u64 end, __u32 pid, __u64 wakeup)
{
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		count_drop(COUNTER_EVENTS_LOST);
		defer();
		return false;
	}
	event->kind = kind;
	event->pid = pid;
	event->start = start;
	event->end = end;
	bpf_ringbuf_submit(event, wakeup);
	return true;
}

/* An event that only concerns ranges wakes nobody: it is read at the next request, or when the ring
 * is half full. Nor is a tracer woken that is awake, because a wake-up costs interrupts on two
 * processors. User space sets `awake` before polling the ring and clears it before the final poll.
 * So the event is put first and `awake` is read after it (the atomic operation is a barrier). */
static void send_from(enum event_kind kind, __u64 start, __u64 end, __u32 pid)
{
	bool urgent = kind != EVENT_ADDED && kind != EVENT_DROPPED && kind != EVENT_DOOMED;

	if (!put_event(kind, start, end, pid, BPF_RB_NO_WAKEUP))
		return;
	if (!urgent && bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) < (1 << 19))
		return;
	if (!__sync_fetch_and_add(&state.awake, 0))
		put_event(EVENT_WAKE, 0, 0, 0, BPF_RB_FORCE_WAKEUP);
}

static void send(enum event_kind kind, __u64 start, __u64 end)
{
	send_from(kind, start, end, 0);
}

#include "chunk.bpf.h"
#include "slab.bpf.h"
#include "ranges.bpf.h"
#include "rseq.bpf.h"

/* ---- the target ---- */

/* Compares the name with the end of the path, whose length is in the record. A search for the last
 * slash would be a loop, of which the verifier would follow each path. */
static bool is_waited_for(struct trace_event_raw_sched_process_exec *ctx)
{
	__u32 location = ctx->__data_loc_filename;
	__u32 offset = location & 0xffff, length = location >> 16; /* with the NUL */
	char name[NAME_BYTES] = {}, before = '/';

	if (length <= wait_length)
		return false;
	offset += length - wait_length - 1;
	if (bpf_probe_read_kernel_str(name, sizeof(name), (void *)ctx + offset) < 0 ||
	    (length > wait_length + 1 &&
	     bpf_probe_read_kernel(&before, 1, (void *)ctx + offset - 1))) {
		count_drop(COUNTER_PATHS_UNREAD);
		return false;
	}
	return before == '/' && !bpf_strncmp(name, sizeof(name), (const char *)wait_name);
}

SEC("tp/sched/sched_process_exec")
int on_exec(struct trace_event_raw_sched_process_exec *ctx)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct bpf_pidns_info ids;

	if (state.target && state.target != tgid)
		return 0;
	ids = visible_ids();
	if (!state.target) {
		if (wait_name[0] ? !is_waited_for(ctx) : !state.child || ids.tgid != state.child)
			return 0;
		if (__sync_val_compare_and_swap(&state.target, 0, tgid))
			return 0;
	}
	state.valid = 0;
	state.always_prepare = 0;
	state.operation.phase = PHASE_IDLE;
	defer();
	send_from(EVENT_EXEC, bpf_ktime_get_ns(), 0, ids.tgid);
	return 0;
}

/* ---- requests ---- */

/* name_at: as in struct operation. */
static void start_operation(enum operation_kind kind, __u32 name_at)
{
	struct operation *operation = &state.operation;
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 phase = operation->phase;

	if (phase == PHASE_PREPARING || phase == PHASE_COPYING || phase == PHASE_COPIED) {
		count_drop(COUNTER_REQUESTS_BUSY);
		state.ignored_tid = visible_ids().pid;
		state.ignored |= 1 << kind;
		return;
	}
	operation->phase = PHASE_IDLE;
	operation->sequence++;
	operation->request_ns = bpf_ktime_get_ns();
	operation->copy_ns = operation->polls = operation->copied = operation->absent = 0;
	operation->unwritten = operation->newer = operation->lost = operation->suspects = 0;
	operation->clean = operation->differences = 0;
	operation->slab_cursor = operation->slab_flags = 0;
	operation->failed = 0;
	operation->name_at = name_at;
	operation->kind = kind;
	operation->tid = visible_ids().pid;
	operation->uid = task->cred->fsuid.val;
	operation->gid = task->cred->fsgid.val;
	operation->threads = thread_count();
	operation->phase = PHASE_REQUESTED;
	send(EVENT_REQUEST, operation->sequence, 0);
}

static const char checkpoint_request_name[] = CHECKPOINT_REQUEST;
static const char checkpoint_completion_name[] = CHECKPOINT_COMPLETION;
static const char restore_request_name[] = RESTORE_REQUEST;
static const char restore_completion_name[] = RESTORE_COMPLETION;

/* Is the user's string at address this name? */
static bool is_name(__u64 address, const char *name)
{
	char text[32] = {};

	return bpf_probe_read_user_str(text, sizeof(text), (void *)address) > 0 &&
	       !bpf_strncmp(text, sizeof(text), name);
}

/* Does the open file lie in the control folder? */
static bool is_in_folder(__u32 number)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct file **files = BPF_CORE_READ(task, files, fdt, fd), *file = NULL;
	struct inode *folder;

	if (bpf_probe_read_kernel(&file, sizeof(file), files + number))
		return false;
	folder = BPF_CORE_READ(file, f_path.dentry, d_parent, d_inode);
	return BPF_CORE_READ(folder, i_ino) == folder_inode &&
	       BPF_CORE_READ(folder, i_sb, s_dev) == folder_device;
}

/* A target in a chroot, or one that uses a relative path, has another name for the control folder:
 * the end of its path counts, and where the file lies. bytes: of the path, with its NUL. */
static void on_other_name(__u64 user_path, __u32 bytes, __u32 file)
{
	__u32 at;

	if (bytes >= sizeof(CHECKPOINT_REQUEST)) {
		at = bytes - sizeof(CHECKPOINT_REQUEST);
		if (is_name(user_path + at, checkpoint_request_name) && is_in_folder(file))
			start_operation(OPERATION_CHECKPOINT, at + 1);
	}
	if (bytes >= sizeof(RESTORE_REQUEST)) {
		at = bytes - sizeof(RESTORE_REQUEST);
		if (is_name(user_path + at, restore_request_name) && is_in_folder(file))
			start_operation(OPERATION_RESTORE, at + 1);
	}
}

/* The path is read when the call returns: the kernel has just read it, so its page is there. */
static void on_open(struct trace_event_raw_sys_exit *ctx, __u64 user_path, __u64 flags)
{
	char path[PATH_BYTES];
	long bytes;

	if (ctx->ret < 0 || !(flags & O_CREAT))
		return;
	bytes = bpf_probe_read_user_str(path, sizeof(path), (void *)user_path);
	if (bytes < 0)
		count_drop(COUNTER_PATHS_UNREAD);
	else if (!bpf_strncmp(path, sizeof(path), (const char *)checkpoint_request))
		start_operation(OPERATION_CHECKPOINT, 0);
	else if (!bpf_strncmp(path, sizeof(path), (const char *)restore_request))
		start_operation(OPERATION_RESTORE, 0);
	else
		on_other_name(user_path, bytes, ctx->ret);
}

SEC("tp/syscalls/sys_exit_open")
int on_open_exit(struct trace_event_raw_sys_exit *ctx)
{
	if (is_target())
		on_open(ctx, argument(0), argument(1));
	return 0;
}

SEC("tp/syscalls/sys_exit_creat")
int on_creat_exit(struct trace_event_raw_sys_exit *ctx)
{
	if (is_target())
		on_open(ctx, argument(0), O_CREAT);
	return 0;
}

SEC("tp/syscalls/sys_exit_openat")
int on_openat_exit(struct trace_event_raw_sys_exit *ctx)
{
	if (is_target())
		on_open(ctx, argument(1), argument(2));
	return 0;
}

SEC("tp/syscalls/sys_exit_openat2")
int on_openat2_exit(struct trace_event_raw_sys_exit *ctx)
{
	__u64 flags; /* struct open_how begins with them */

	if (!is_target() || ctx->ret < 0)
		return 0;
	if (bpf_probe_read_user(&flags, sizeof(flags), (void *)argument(2)))
		count_drop(COUNTER_PATHS_UNREAD);
	else
		on_open(ctx, argument(1), flags);
	return 0;
}

/* ---- polls ---- */

struct wait { /* of a poll, for user space */
	__u64 deadline_ns;
	__u64 sequence; /* until this operation is answered; 0: until the phase is not PREPARING */
};

static bool is_waiting(const struct wait *wait)
{
	const volatile struct state *now = &state;

	return wait->sequence ? now->answered < wait->sequence
			      : now->operation.phase == PHASE_PREPARING;
}

static long wait_step(__u32 index, struct wait *wait)
{
	return !is_waiting(wait) || bpf_ktime_get_ns() > wait->deadline_ns;
}

/* Stays in this poll while user space is at work on another processor. Returns whether it has done
 * what was waited for. Not static, as walk_chunks(). */
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

/* Must the target stand still at the end of the poll that has copied? */
static bool is_held_after(const struct operation *operation)
{
	return operation->kind == OPERATION_RESTORE && !restore_in_bpf;
}

/* Ends a poll's share of the copy. While slabs are left, the next poll goes on. Returns whether the
 * copy is done. Not static: 6.1 would look at all that follows once for each bucket. */
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
	if (!is_held_after(operation))
		(void)wait_for_tracer(operation->sequence);
	return true;
}

/* Goes on in another program, which does not come back. */
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

	if (cursor >= state.slabs || state.pages_per_poll)
		return 0;
	left = state.slabs - cursor;
	return left < SLAB_BATCH ? left : SLAB_BATCH;
}

/* Is there a store with that number for this poll? The first poll of a copy visits all, the others
 * none. A condition of a loop: each of its branches but one leaves the loop, as 6.1 needs it. */
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

/* A number that changes with the target's mappings. Since 6.4 the kernel counts every change.
 * Before, it is made of the number of mappings and of their sizes. */
static __u64 mappings_version(void)
{
	struct mm_struct *mm = bpf_get_current_task_btf()->mm;
	struct mm_struct___6_4 *mm_6_4 = (void *)mm;

	if (!mm)
		return 0;
	if (bpf_core_field_exists(mm->mm_lock_seq))
		return mm->mm_lock_seq.sequence;
	if (bpf_core_field_exists(mm_6_4->mm_lock_seq))
		return BPF_CORE_READ(mm_6_4, mm_lock_seq);
	return ((((mm->total_vm * 31) + mm->data_vm) * 31 + mm->exec_vm) * 31 + mm->stack_vm) * 31 +
	       mm->map_count;
}

/* Notices changes of mappings that no hook sees: by a process that shares the memory (CLONE_VM), by
 * 32-bit system calls, by the kernel itself. */
static void look_for_changes(void)
{
	__u64 version = mappings_version();

	if (version == state.mappings_version)
		return;
	state.mappings_version = version;
	defer();
}

/* Must user space act before the copy? */
static bool needs_tracer(const struct operation *operation)
{
	if (operation->kind == OPERATION_RESTORE && !state.valid)
		return true;
	if (!state.stopped && (operation->threads > 1 || is_held_after(operation) ||
			       (operation->kind == OPERATION_RESTORE && state.threads > 1)))
		return true;
	if (operation->kind == OPERATION_CHECKPOINT && state.unplaced)
		return true;
	return state.prepared != state.deferred ||
	       ((state.always_prepare || state.has_slabs || operation->stack) &&
		operation->phase == PHASE_REQUESTED);
}

static bool move_phase(__u32 from, __u32 to)
{
	return __sync_val_compare_and_swap(&state.operation.phase, from, to) == from;
}

/* If user space must act before the copy, hands the operation over and waits. Stopping other
 * threads takes long, so with them nobody waits. Not static, as walk_chunks(). */
__noinline bool must_prepare(__u32 phase)
{
	struct operation *operation = &state.operation;

	look_for_changes();
	if (!needs_tracer(operation))
		return false;
	state.waiting = operation->threads < 2;
	if (move_phase(phase, PHASE_PREPARING)) {
		send(EVENT_PREPARE, 0, 0);
		if (state.waiting)
			(void)wait_for_tracer(0);
	}
	__sync_fetch_and_and(&state.waiting, 0);
	return true;
}

/* Is it the completion file by the name that the target has for the control folder? bytes: of the
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
	char path[PATH_BYTES];
	long differs, bytes;

	if (!is_target() || operation->phase == PHASE_IDLE)
		return;
	bytes = bpf_probe_read_user_str(path, sizeof(path), (void *)user_path);
	if (bytes < 0) {
		count_drop(COUNTER_PATHS_UNREAD);
		return;
	}
	if (operation->kind == OPERATION_CHECKPOINT)
		differs = bpf_strncmp(path, sizeof(path), (const char *)checkpoint_completion);
	else
		differs = bpf_strncmp(path, sizeof(path), (const char *)restore_completion);
	if (differs && !is_other_completion(user_path, bytes))
		return;
	bpf_tail_call(ctx, &continuations, CONTINUE_POLL);
	count_drop(COUNTER_PROGRAM_MISSING);
}

/* All three calls below go on here by a tail call, so the verifier looks at it once. */
SEC("?tp/syscalls/sys_enter_access")
int poll(void *ctx)
{
	struct operation *operation = &state.operation;
	__u32 phase = operation->phase;

	operation->polls++;
	if (phase != PHASE_REQUESTED && phase != PHASE_READY)
		return 0;
	operation->tid = visible_ids().pid;
	operation->threads = thread_count();
	operation->stack = other_stack();
	if (must_prepare(phase)) {
		if (operation->phase != PHASE_READY || must_prepare(PHASE_READY))
			return 0;
		phase = PHASE_READY;
	}
	if (!move_phase(phase, PHASE_COPYING))
		return 0;
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
