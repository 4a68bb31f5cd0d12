/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Finds out who releases the lock of the memory (mmap_lock): a fault, or a call that may have
 * written without a fault (faults.bpf.h).
 */
#ifndef BPF_LOCK_OWNER_BPF_H
#define BPF_LOCK_OWNER_BPF_H

/* Threads in a fault from kernel mode, each at its tid modulo FAULT_THREADS. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* FAULT_THREADS if the list is wanted */
	__type(key, __u32);
	__type(value, __u32);
} fault_threads SEC(".maps");

static __u32 *place_of_thread(__u32 tid)
{
	__u32 index = tid % FAULT_THREADS;

	return bpf_map_lookup_elem(&fault_threads, &index);
}

/* A fault from kernel mode begins. It takes the lock, unless its thread has disabled faults: then
 * it fails at once. */
static void begin_kernel_fault(void)
{
	__u32 tid = bpf_get_current_pid_tgid(), *place;

	if (bpf_get_current_task_btf()->pagefault_disabled)
		return;
	place = place_of_thread(tid);
	if (place)
		*place = tid;
}

/* io_uring writes in its own threads, and whenever its user leaves the kernel. */
static bool uses_io_uring(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return task->flags & (PF_IO_WORKER | PF_USER_WORKER) ||
	       (bpf_core_field_exists(task->io_uring) && task->io_uring);
}

/* Did the current thread come from user mode by an exception? An exception does not write by
 * get_user_pages(), as system calls do. */
static bool is_exception(void)
{
	struct pt_regs *registers = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());

	return !uses_io_uring() && (__s64)registers->orig_ax < 0;
}

/* Is it a fault that releases the lock? A fault in kernel mode may release it more than once: each
 * release after the first counts as a sign. */
static bool is_end_of_fault(void)
{
	__u32 tid = bpf_get_current_pid_tgid(), *place = place_of_thread(tid);

	if (place && *place == tid) {
		*place = 0;
		return true;
	}
	return is_exception();
}

#endif
