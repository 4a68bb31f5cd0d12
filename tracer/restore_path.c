/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See restore_path.h.
 */
#include "restore_path.h"

#include <errno.h>
#include "base/log.h"

int restore_path__choose(enum restore_path wanted, const struct kernel_facts *facts,
			 bool *ret_in_bpf)
{
	*ret_in_bpf = facts->can_write_user && wanted != RESTORE_PROCESS_VM;
	if (*ret_in_bpf || wanted == RESTORE_PROCESS_VM) {
		log__info("Linux %s: checkpoint in BPF, restore %s", facts->release,
			  *ret_in_bpf ? "in BPF" : "with process_vm_writev, as asked");
		return 0;
	}
	if (wanted == RESTORE_BPF) {
		log__error("--restore-path bpf: this kernel forbids bpf_probe_write_user, "
			   "as it does when it is locked down; leave the option away to restore "
			   "with process_vm_writev");
		return -EOPNOTSUPP;
	}
	log__info("Linux %s: checkpoint in BPF; restore with process_vm_writev, for the kernel "
		  "forbids bpf_probe_write_user",
		  facts->release);
	return 0;
}
