/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Who writes in a restore: the kernel side with bpf_probe_write_user, or user space with
 * process_vm_writev, where kernel lockdown forbids the first.
 */
#ifndef TRACER_RESTORE_PATH_H
#define TRACER_RESTORE_PATH_H

#include <stdbool.h>
#include "kernel/kernel_check.h"

enum restore_path { RESTORE_AUTO, RESTORE_BPF, RESTORE_PROCESS_VM };

/* Chooses, and says so once. Returns 0 and *ret_in_bpf, or -EOPNOTSUPP if the user wants
 * RESTORE_BPF and the kernel forbids it. */
int restore_path__choose(enum restore_path wanted, const struct kernel_facts *facts,
			 bool *ret_in_bpf);

#endif
