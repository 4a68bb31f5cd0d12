/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tells what a thread has registered with the kernel, as far as no system call of another process
 * tells it. Reading takes some 12 us. So calls that register something are counted: while there is
 * none, nothing need be read again.
 */
#ifndef BPF_THREAD_RECORD_BPF_H
#define BPF_THREAD_RECORD_BPF_H

/* Writes a struct thread_record for each thread of a process. */
SEC("?iter/task")
int tell_thread(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct thread_record record = {};

	if (!task)
		return 0; /* the end */
	record.tid = visible_number(BPF_CORE_READ(task, thread_pid));
	record.signal_stack = BPF_CORE_READ(task, sas_ss_sp);
	record.signal_stack_bytes = BPF_CORE_READ(task, sas_ss_size);
	record.signal_stack_flags = BPF_CORE_READ(task, sas_ss_flags);
	record.tid_address = (__u64)BPF_CORE_READ(task, clear_child_tid);
	/* When the buffer is full, the kernel takes the record back and calls again for it. */
	(void)bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}

static int count_registration(void)
{
	if (is_watched())
		__sync_fetch_and_add(&state.registrations, 1);
	return 0;
}

SEC("?tp/syscalls/sys_enter_sigaltstack")
int on_sigaltstack(void *ctx)
{
	return count_registration();
}

SEC("?tp/syscalls/sys_enter_set_tid_address")
int on_set_tid_address(void *ctx)
{
	return count_registration();
}

SEC("?tp/syscalls/sys_enter_set_robust_list")
int on_set_robust_list(void *ctx)
{
	return count_registration();
}

SEC("?tp/syscalls/sys_enter_rseq")
int on_rseq(void *ctx)
{
	return count_registration();
}

#endif
