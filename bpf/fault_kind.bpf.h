/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which page faults are listed: those after which the process may write to the page without another
 * fault.
 */
#ifndef BPF_FAULT_KIND_BPF_H
#define BPF_FAULT_KIND_BPF_H

/* Configuration, set before the load: a read of absent memory maps a page that can be written
 * (tracer/kernel/kernel_check.h). */
const volatile __u8 maps_on_read;

/* code: of the fault, X86_PF_... */
static __always_inline bool may_write_after(__u64 code)
{
	if (code & (FAULT_WRITE | FAULT_SHADOW_STACK))
		return true;
	return maps_on_read && !(code & FAULT_PRESENT);
}

#endif
