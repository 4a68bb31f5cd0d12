/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What this machine allows, checked once before anything is started: one plain line then names
 * what is missing, instead of a verifier log.
 */
#ifndef TRACER_KERNEL_KERNEL_CHECK_H
#define TRACER_KERNEL_KERNEL_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#define TRACEFS "/sys/kernel/tracing"

struct kernel_facts {
	char release[65];            /* uname -r */
	bool can_write_user;         /* bpf_probe_write_user loads */
	bool counts_mapping_changes; /* mm_struct.mm_lock_seq exists: 6.4, CONFIG_PER_VMA_LOCK */
	bool iterates_maps;          /* iter/bpf_map_elem loads */
	uint64_t namespace_device;   /* of our PID namespace, for bpf_get_ns_current_pid_tgid */
	uint64_t namespace_inode;
};

/* Mounts tracefs, through which tracepoints are found, if it is not mounted. 0 or -errno. */
int kernel_check__tracefs(void);

/* Root, with the capabilities to load BPF programs and to trace any process? Returns 0; -EPERM; or
 * another -errno if /proc does not tell. */
int kernel_check__privileges(void);

/* Loads a BPF program, which calls bpf_probe_write_user if write_user is set. Returns 0 or the
 * -errno of bpf(2). */
int kernel_check__load(bool write_user);

/* Sets what the kernel's type information tells: counts_mapping_changes and iterates_maps. Without
 * it both stay as they are. */
void kernel_check__types(struct kernel_facts *facts);

/* Does the first read of anonymous memory map a page that can then be written without a fault? Most
 * kernels map their page of zeros, which is write-protected. Some have none, or no huge one
 * (use_zero_page, Documentation/admin-guide/mm/transhuge.rst). Tries it in memory of its own. */
bool kernel_check__maps_on_read(void);

/* The kernel's type information. */
#define KERNEL_BTF "/sys/kernel/btf/vmlinux"

/*
 * Checks capabilities, BTF, tracefs (mounted where it is missing), the system call tracepoints and
 * bpf(2). Returns 0 and fills *ret_facts; or -errno after saying on stderr what is missing and
 * what can be done: -EPERM privileges, -EOPNOTSUPP the kernel lacks something.
 */
int kernel_check__run(struct kernel_facts *ret_facts);

#endif
