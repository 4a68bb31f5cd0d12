/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The kernel side of tracer, one object. A hook of execve finds the target. Hooks of the mmap
 * family follow its ranges (ranges.bpf.h). The open of a request file starts an operation
 * (request.bpf.h). A poll of the completion file copies, in the target's own context (poll.bpf.h,
 * chunk.bpf.h, slab.bpf.h). While the target's memory is armed, its write faults are listed
 * (faults.bpf.h). What its threads register with the kernel is read too (thread_record.bpf.h).
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
const volatile char rollback_request[PATH_BYTES];
const volatile char rollback_completion[PATH_BYTES];

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

/* The number of a process in the tracer's PID namespace, which may be above its own; 0 if it has
 * none there. */
static __u32 visible_number(struct pid *pid)
{
	__u32 deepest = BPF_CORE_READ(pid, level);
	struct upid number;

	for (__u32 level = 0; level < PID_LEVELS && level <= deepest; level++) {
		if (bpf_probe_read_kernel(&number, sizeof(number), &pid->numbers[0] + level))
			break;
		if (BPF_CORE_READ(number.ns, ns.inum) == namespace_inode)
			return number.nr;
	}
	return 0;
}

/* As visible_ids(), but also of a process in a PID namespace below the tracer's: a container.
 * Pointers in kernel structures are read by BPF_CORE_READ, here and elsewhere: for a plain load of
 * one, the verifier searches all names of the kernel, which takes a millisecond each time. */
static __always_inline struct bpf_pidns_info target_ids(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct bpf_pidns_info ids = visible_ids();

	if (ids.tgid)
		return ids;
	ids.pid = visible_number(BPF_CORE_READ(task, thread_pid));
	ids.tgid = visible_number(BPF_CORE_READ(task, group_leader, thread_pid));
	return ids;
}

static __u32 thread_count(void)
{
	return BPF_CORE_READ(bpf_get_current_task_btf(), signal, nr_threads);
}

/* An argument of the system call that the current thread returns from. The registers still hold
 * all arguments: x86-64 changes only rax, rcx and r11. */
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
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	__u64 pointer = registers->sp;
	__u64 depth = mm ? BPF_CORE_READ(mm, start_stack) - pointer : 0;

	if (mm && depth <= BPF_CORE_READ(mm, stack_vm) * PAGE_BYTES)
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

static bool move_phase(__u32 from, __u32 to)
{
	return __sync_val_compare_and_swap(&state.operation.phase, from, to) == from;
}

#include "faults.bpf.h"
#include "thread_record.bpf.h"

/* ---- the target ---- */

/* Compares the name with the end of the path, whose length is in the record. A search for the last
 * slash would be a loop, and the verifier would follow each path through it. */
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
	/* Read once: another process may become the target at this instant. */
	const __u32 target = *(volatile __u32 *)&state.target;
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct bpf_pidns_info ids;

	if (target && target != tgid)
		return 0;
	ids = target_ids();
	if (!target) {
		if (!ids.tgid)
			return 0;
		if (wait_name[0] ? !is_waited_for(ctx) : !state.child || ids.tgid != state.child)
			return 0;
		if (__sync_val_compare_and_swap(&state.target, 0, tgid))
			return 0;
	}
	forget_watched();
	state.valid = 0;
	state.always_prepare = 0;
	state.operation.phase = PHASE_IDLE;
	defer();
	send_from(EVENT_EXEC, bpf_ktime_get_ns(), 0, ids.tgid);
	return 0;
}

#include "chunk.bpf.h"
#include "slab.bpf.h"
#include "ranges.bpf.h"
#include "rseq.bpf.h"
#include "request.bpf.h"
#include "poll.bpf.h"
