/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The rseq(2) area of the thread that polls. The kernel writes it only when the thread has moved to
 * another processor. If a restore brought an old area back, the thread would have a wrong processor
 * number until it moves again. So the bytes are kept before a restore writes and put back after it.
 * Nothing comes between, for a program cannot be preempted. User space does the same for the other
 * threads, which it has stopped (tracer/target/rseq.h).
 */
#ifndef BPF_RSEQ_BPF_H
#define BPF_RSEQ_BPF_H

struct kept_rseq {
	__u64 address; /* 0: there is none */
	__u64 rest;    /* the second half is kept, too */
	__u8 bytes[RSEQ_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct kept_rseq);
} kept_rseqs SEC(".maps");

/* Lengths are multiples of 32 bytes. In halves, all sizes are constants, which every verifier
 * takes. */
static void keep_rseq(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 zero = 0, length = RSEQ_FIRST_BYTES;
	struct kept_rseq *kept = bpf_map_lookup_elem(&kept_rseqs, &zero);
	__u64 address;

	if (!kept)
		return;
	kept->address = kept->rest = 0;
	if (!bpf_core_field_exists(task->rseq))
		return;
	address = (__u64)BPF_CORE_READ(task, rseq);
	if (bpf_core_field_exists(task->rseq_len))
		length = BPF_CORE_READ(task, rseq_len);
	if (!address || bpf_probe_read_user(kept->bytes, RSEQ_FIRST_BYTES, (void *)address))
		return; /* not in memory: no restore in BPF reaches it */
	kept->address = address;
	kept->rest =
		length > RSEQ_FIRST_BYTES &&
		!bpf_probe_read_user(kept->bytes + RSEQ_FIRST_BYTES, RSEQ_BYTES - RSEQ_FIRST_BYTES,
				     (void *)(address + RSEQ_FIRST_BYTES));
}

static __always_inline void put_rseq(void)
{
	__u32 zero = 0;
	struct kept_rseq *kept = bpf_map_lookup_elem(&kept_rseqs, &zero);

	if (!kept || !kept->address)
		return;
	(void)bpf_probe_write_user((void *)kept->address, kept->bytes, RSEQ_FIRST_BYTES);
	if (kept->rest)
		(void)bpf_probe_write_user((void *)(kept->address + RSEQ_FIRST_BYTES),
					   kept->bytes + RSEQ_FIRST_BYTES,
					   RSEQ_BYTES - RSEQ_FIRST_BYTES);
}

#endif
