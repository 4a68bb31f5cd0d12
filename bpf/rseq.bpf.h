/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The rseq(2) area of the thread that polls. The kernel writes it whenever the thread has been
 * moved to another processor, and only then: a restore that brought an old one back would leave the
 * thread with a wrong processor number for as long as it stays where it is. So the bytes are kept
 * before a restore writes and put back after it. Nothing comes between, for a program cannot be
 * preempted. User space does the same for the other threads, which it has stopped
 * (tracer/target/rseq.h).
 */
#ifndef BPF_RSEQ_BPF_H
#define BPF_RSEQ_BPF_H

struct kept_rseq {
	__u64 address; /* 0: there is none */
	__u8 bytes[RSEQ_BYTES];
	__u32 length;
	__u32 padding;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct kept_rseq);
} kept_rseqs SEC(".maps");

static void keep_rseq(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 zero = 0, length = RSEQ_FIRST_BYTES;
	struct kept_rseq *kept = bpf_map_lookup_elem(&kept_rseqs, &zero);

	if (!kept)
		return;
	kept->address = 0;
	if (!bpf_core_field_exists(task->rseq) || !task->rseq)
		return;
	if (bpf_core_field_exists(task->rseq_len))
		length = task->rseq_len;
	if (length > RSEQ_BYTES)
		length = RSEQ_BYTES;
	if (bpf_probe_read_user(kept->bytes, length, (void *)task->rseq))
		return; /* not in memory: no restore in BPF reaches it */
	kept->length = length;
	kept->address = (__u64)task->rseq;
}

static __always_inline void put_rseq(void)
{
	__u32 zero = 0, length;
	struct kept_rseq *kept = bpf_map_lookup_elem(&kept_rseqs, &zero);

	if (!kept || !kept->address)
		return;
	length = kept->length;
	if (length > 0 && length <= RSEQ_BYTES)
		(void)bpf_probe_write_user((void *)kept->address, kept->bytes, length);
}

#endif
