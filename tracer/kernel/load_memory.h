/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Memory for the type information of the kernel: 5 MiB, which we read once, and libbpf once more.
 * libbpf copies them each time. In a virtual machine each new page may cost 20 us: thousands of new
 * pages took half of the processor time of a start. So there is one block, in huge pages if
 * possible, that malloc uses again.
 */
#ifndef TRACER_KERNEL_LOAD_MEMORY_H
#define TRACER_KERNEL_LOAD_MEMORY_H

/* To be called before the first BPF object is loaded. If there is no such memory, nothing is said:
 * to load takes longer. */
void load_memory__reserve(void);

/* Gives back what malloc does not use. From then on it keeps at most 4 MiB of what is freed. */
void load_memory__release(void);

#endif
