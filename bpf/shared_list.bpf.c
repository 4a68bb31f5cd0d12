/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The list of faults of one process, for that process itself (utils/pages/shared_list.h). An object
 * of its own, which is loaded when the process asks for it, so it cannot disturb the tracer's list.
 * faults.bpf.h says how it works, and what a sign is. What is different:
 *
 * - The reader knows its own system calls. So those of the process itself are counted apart from
 *   signs.
 * - What the tracer writes is a sign.
 * - Faults of another process are never listed: its mm_struct may lie where that of the target was.
 * - When the tracer exits, the list is over before the first program goes.
 */
#include <stdbool.h>
#include "kernel.h"
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "pages/shared_list.h"
#include "tracer.h"
#include "fault_kind.bpf.h"
#include "lock_owner.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* One element. The process gets a descriptor of this map. User space freezes the map, so nobody but
 * BPF can write to it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct shared_list);
} shared_lists SEC(".maps");

struct mm_struct *watched_memory; /* only compared; NULL: nothing is watched */
__u32 watched_process, tracer;    /* thread group ids, as the kernel sees them */
bool has_execed;                  /* since it was watched for the first time */

static struct shared_list *find_list(void)
{
	__u32 index = 0;

	return bpf_map_lookup_elem(&shared_lists, &index);
}

static __u32 current_process(void)
{
	return bpf_get_current_pid_tgid() >> 32;
}

static bool has_watched_memory(void)
{
	struct mm_struct *memory = bpf_get_current_task_btf()->mm;

	return memory && memory == watched_memory;
}

static void count_sign(void)
{
	struct shared_list *list = find_list();

	if (list)
		__sync_fetch_and_add(&list->signs, 1);
}

static void count_call(void)
{
	struct shared_list *list = find_list();

	if (current_process() != watched_process || uses_io_uring())
		count_sign();
	else if (list)
		__sync_fetch_and_add(&list->calls, 1);
}

/* The list cannot be relied on any more. */
static void end(void)
{
	struct shared_list *list = find_list();

	if (list)
		__sync_fetch_and_add(&list->ends, 1);
	watched_memory = NULL;
}

/* ---- faults ---- */

static void list_page(__u64 address)
{
	struct shared_list *list = find_list();
	__u64 number;

	if (!list)
		return;
	number = __sync_fetch_and_add(&list->writes, 1);
	*(volatile __u64 *)&list->entries[number % SHARED_LIST_PAGES] =
		(address & ~(PAGE_BYTES - 1)) | SHARED_LIST_LAP(number);
}

static __always_inline void on_fault(const struct bpf_raw_tracepoint_args *ctx)
{
	if (!may_write_after(ctx->args[2]))
		return;
	if (current_process() == watched_process)
		list_page(ctx->args[0]);
	else
		count_sign(); /* by a child of vfork(2) */
}

SEC("raw_tp/page_fault_user")
int on_user_fault(struct bpf_raw_tracepoint_args *ctx)
{
	if (has_watched_memory() && (__s64)ctx->args[0] >= 0)
		on_fault(ctx);
	return 0;
}

SEC("raw_tp/page_fault_kernel")
int on_kernel_fault(struct bpf_raw_tracepoint_args *ctx)
{
	if (!has_watched_memory() || (__s64)ctx->args[0] < 0)
		return 0;
	begin_kernel_fault();
	on_fault(ctx);
	return 0;
}

/* ---- signs ---- */

SEC("raw_tp/mmap_lock_released")
int on_unlock(struct bpf_raw_tracepoint_args *ctx)
{
	if (ctx->args[0] != (__u64)watched_memory)
		return 0;
	if (!has_watched_memory())
		count_sign();
	else if (!is_end_of_fault())
		count_call();
	return 0;
}

/* Since 6.16 madvise(2) discards pages without the lock. After MADV_FREE they go later, without any
 * sign. */
static int on_advice(__u64 advice)
{
	if (!has_watched_memory())
		return 0;
	if (advice == MADV_FREE)
		end();
	count_call();
	return 0;
}

/* A raw tracepoint would be faster, but it would run at each system call of the machine. */
SEC("tp/syscalls/sys_enter_madvise")
int on_madvise(struct trace_event_raw_sys_enter *ctx)
{
	return on_advice(ctx->args[2]);
}

SEC("tp/syscalls/sys_enter_process_madvise")
int on_process_madvise(struct trace_event_raw_sys_enter *ctx)
{
	return on_advice(ctx->args[3]);
}

/* ---- the processes ---- */

/* User space names the process by reading from an iterator over it. */
SEC("iter/task")
int watch(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;

	if (!task || !task->mm)
		return 0;
	tracer = current_process();
	watched_process = task->tgid;
	watched_memory = task->mm;
	return 0;
}

/* User space calls it before it detaches the programs. */
SEC("syscall")
int stop(void *ctx)
{
	end();
	return 0;
}

/* After an exec the process has other memory, and needs another list: children of the program
 * before may still have this one mapped. */
SEC("raw_tp/sched_process_exec")
int on_exec(struct bpf_raw_tracepoint_args *ctx)
{
	if (current_process() != watched_process)
		return 0;
	has_execed = true;
	if (watched_memory)
		end();
	return 0;
}

/* The last thread of the process or of the tracer exits. The descriptors of the tracer are still
 * open, so all programs are still attached. */
SEC("raw_tp/sched_process_exit")
int on_exit(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 process = current_process();

	if (watched_memory && (process == watched_process || process == tracer) &&
	    BPF_CORE_READ(bpf_get_current_task_btf(), signal, live.counter) == 0)
		end();
	return 0;
}
