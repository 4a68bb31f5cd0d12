/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a thread has registered with the kernel, and how to ask for it. Only system calls.
 */
#ifndef IMAGE_REGISTRATIONS_H
#define IMAGE_REGISTRATIONS_H

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

/* Sets thread->clear_tid and thread->tid_address for the calling thread, whose tid and fs_base are
 * known. 0 where nothing was found. */
void registrations__find_tid(struct image_thread *thread);

/* Sets thread->rseq, rseq_bytes and rseq_signature for the calling thread: what the C library has
 * registered; 0 if it has not. */
void registrations__find_rseq(struct image_thread *thread);

/* Has the calling thread registered anything with rseq(2)? Nothing changes. */
bool registrations__has_rseq(void);

/* The extended states that the kernel has enabled, XCR0; 0 without XSAVE. */
uint64_t registrations__xcr0(void);

/* In a handler: lets the thread read memory whatever protection keys (pkeys(7)) the program has.
 * The return from the handler sets them as they were. */
void registrations__open_keys(void);

#endif
