/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The smallest BPF program with a map: it counts, for each processor, how often a program is
 * started. hello.c loads it. docs/learn.md also builds it with -DWRONG, which the verifier
 * refuses, and with -DWRITE, which a locked-down kernel refuses.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

SEC("tp/sched/sched_process_exec")
int on_start(void *ctx)
{
	__u32 processor = bpf_get_smp_processor_id();
	__u64 *count = bpf_map_lookup_elem(&counts, &processor);

#ifndef WRONG
	if (!count)
		return 0;
#endif
	__sync_fetch_and_add(count, 1);
	bpf_printk("hello from process %d", (int)(bpf_get_current_pid_tgid() >> 32));
#ifdef WRITE
	(void)bpf_probe_write_user((void *)4096, &processor, sizeof(processor));
#endif
	return 0;
}
