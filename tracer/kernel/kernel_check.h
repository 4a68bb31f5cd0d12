/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What this machine allows: asked once, before anything is started, so that what is missing is
 * named in one plain line instead of a verifier log.
 */
#ifndef TRACER_KERNEL_KERNEL_CHECK_H
#define TRACER_KERNEL_KERNEL_CHECK_H

#include <stdbool.h>
#include <stdint.h>

struct kernel_facts {
	char release[65];          /* uname -r */
	bool can_write_user;       /* bpf_probe_write_user loads */
	uint64_t namespace_device; /* of our PID namespace, for bpf_get_ns_current_pid_tgid */
	uint64_t namespace_inode;
};

/*
 * Checks capabilities, BTF, tracefs (mounted where it is missing), the system call tracepoints and
 * bpf(2). Returns 0 and fills *ret_facts; or -errno after saying on stderr what is missing and
 * what can be done: -EPERM privileges, -EOPNOTSUPP the kernel lacks something.
 */
int kernel_check__run(struct kernel_facts *ret_facts);

#endif
