/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a thread has registered with the kernel. Usable inside a signal handler.
 */
#ifndef PROCESS_REGISTRATIONS_H
#define PROCESS_REGISTRATIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "image/image.h"

/* arch_prctl(2); <asm/prctl.h> is not everywhere. */
enum {
	REGISTRATIONS_SET_GS = 0x1001,
	REGISTRATIONS_SET_FS,
	REGISTRATIONS_GET_FS,
	REGISTRATIONS_GET_GS
};

/* Sets thread->clear_tid and thread->tid_address for the calling thread; 0 if nothing was found.
 * Its tid and fs_base must be set. */
void registrations__find_tid(struct image_thread *thread);

/* Sets thread->rseq, rseq_bytes and rseq_signature for the calling thread to what the C library has
 * registered; 0 if it has not. */
void registrations__find_rseq(struct image_thread *thread);

/* Has the calling thread registered anything with rseq(2)? Nothing changes. */
bool registrations__has_rseq(void);

/* The commands of membarrier(2) that fail if they are not registered. Before Linux 6.3 the kernel
 * does not tell what is registered, so each is tried. */
enum {
	REGISTRATIONS_MEMBARRIERS = 3,
	REGISTRATIONS_GET_MEMBARRIERS = 1 << 9, /* MEMBARRIER_CMD_GET_REGISTRATIONS */
};
struct registrations_membarrier {
	int command, registration;
};
extern const struct registrations_membarrier registrations__membarriers[REGISTRATIONS_MEMBARRIERS];

/* The extended states that the kernel has enabled, XCR0; 0 without XSAVE. */
uint64_t registrations__xcr0(void);

/* Lets the thread read memory in spite of protection keys (pkeys(7)), until the handler returns. */
void registrations__open_keys(void);

#endif
