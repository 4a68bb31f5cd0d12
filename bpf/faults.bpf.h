/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The list of faults: which pages of a process were written since they were armed. The first write
 * to an armed page traps, and the tracepoints of page faults name its address. They are raw
 * tracepoints, which attach and detach in a millisecond, so they are attached only while the list
 * is wanted (tracer/kernel/fault_list.h). For another process they compare two numbers.
 *
 * The kernel also writes without a trap: get_user_pages() serves process_vm_writev(2), ptrace(2),
 * /proc/PID/mem, O_DIRECT, io_uring, KVM and more. It makes an armed page writable under the lock
 * of the memory (mmap_lock), and only there. So each release of that lock counts as a sign:
 * a write may have come before it. The release by a fault does not count, for a fault is listed.
 * The sign comes after the write, so a mark that is taken between the two does not have it yet.
 * Since 6.16 madvise(2) discards pages without that lock; it is a sign by itself.
 */
#ifndef BPF_FAULTS_BPF_H
#define BPF_FAULTS_BPF_H

#include "fault_kind.bpf.h"
#include "lock_owner.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* FAULT_PAGES if the list is wanted */
	__type(key, __u32);
	__type(value, __u64);
} fault_pages SEC(".maps");

struct mm_struct *watched_memory; /* only compared; NULL: nothing is watched */
__u32 tracer_process;             /* thread group id, as the kernel sees it */

static bool is_watched(void)
{
	struct mm_struct *memory = bpf_get_current_task_btf()->mm;

	return memory && memory == watched_memory;
}

static void count_sign(void)
{
	__sync_fetch_and_add(&state.faults.signs, 1);
}

/* ---- faults ---- */

/* Entries are written in any order, by all processors at once. The lap in an entry says whether it
 * is written already. */
static void list_page(__u64 address)
{
	__u64 number = __sync_fetch_and_add(&state.faults.writes, 1), *entry;
	__u32 index = number % FAULT_PAGES;

	entry = bpf_map_lookup_elem(&fault_pages, &index);
	if (entry)
		*(volatile __u64 *)entry = FAULT_ENTRY(address, number);
}

static __always_inline void on_fault(const struct bpf_raw_tracepoint_args *ctx)
{
	if (may_write_after(ctx->args[2]))
		list_page(ctx->args[0]);
}

SEC("?raw_tp/page_fault_user")
int on_user_fault(struct bpf_raw_tracepoint_args *ctx)
{
	if (is_watched() && (__s64)ctx->args[0] >= 0)
		on_fault(ctx);
	return 0;
}

SEC("?raw_tp/page_fault_kernel")
int on_kernel_fault(struct bpf_raw_tracepoint_args *ctx)
{
	if (!is_watched() || (__s64)ctx->args[0] < 0)
		return 0;
	begin_kernel_fault();
	on_fault(ctx);
	return 0;
}

/* ---- signs ---- */

SEC("?raw_tp/mmap_lock_released")
int on_unlock(struct bpf_raw_tracepoint_args *ctx)
{
	if (ctx->args[0] != (__u64)watched_memory)
		return 0;
	if (is_watched() ? !is_end_of_fault() : bpf_get_current_pid_tgid() >> 32 != tracer_process)
		count_sign();
	return 0;
}

/* Pages given with MADV_FREE are taken later, without any sign. */
static int on_advice(__u64 advice)
{
	if (!is_watched())
		return 0;
	if (advice == MADV_FREE)
		state.lazily_freed = 1;
	count_sign();
	return 0;
}

/* From now on another process has the memory, and may make new ones that have it. */
SEC("?raw_tp/task_newtask")
int on_new_task(struct bpf_raw_tracepoint_args *ctx)
{
	if (is_watched() && (ctx->args[1] & (CLONE_VM | CLONE_THREAD)) == CLONE_VM)
		count_sign();
	return 0;
}

SEC("?tp/syscalls/sys_enter_madvise")
int on_madvise(struct trace_event_raw_sys_enter *ctx)
{
	return on_advice(ctx->args[2]);
}

SEC("?tp/syscalls/sys_enter_process_madvise")
int on_process_madvise(struct trace_event_raw_sys_enter *ctx)
{
	return on_advice(ctx->args[3]);
}

/* ---- the process ---- */

/* User space names the process by reading from an iterator over it. */
SEC("?iter/task")
int watch(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;

	if (!task || !task->mm)
		return 0;
	tracer_process = bpf_get_current_pid_tgid() >> 32;
	watched_memory = task->mm;
	return 0;
}

/* The memory of the process that execs is another one from now on, which nobody has armed. */
static void forget_watched(void)
{
	watched_memory = NULL;
	count_sign();
}

#endif
