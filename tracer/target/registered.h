/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a thread has registered with the kernel. It is no register of the processor: it stays as it
 * is when memory and registers are those of another instant. Sources: ptrace(2),
 * get_robust_list(2), rseq(2), sigaltstack(2), set_tid_address(2).
 */
#ifndef TRACER_TARGET_REGISTERED_H
#define TRACER_TARGET_REGISTERED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "target/inject.h"
#include "target/memory.h"

struct registered {
	uint64_t rseq; /* the address of its area; 0: none */
	uint32_t rseq_bytes, rseq_signature;
	uint64_t robust_list, robust_bytes;
	/* ---- what only BPF can read (kernel/thread_reader.h); else zeros ---- */
	bool knows_rest;
	uint32_t signal_stack_flags;
	uint64_t signal_stack, signal_stack_bytes;
	uint64_t tid_address; /* where the kernel clears the tid at the thread's end */
};

/* Reads all but the rest, of a thread that the caller has stopped with ptrace(2). What the kernel
 * does not tell is 0. */
void registered__read(pid_t tid, struct registered *ret);

/* Is it the same? The rest counts if both know it. */
bool registered__is_same(const struct registered *a, const struct registered *b);

/*
 * Takes away what registered__put_back() is going to set in another way: the area of rseq(2). The
 * kernel writes to that area, so it must go before its memory does, and before its bytes come back.
 * inject: of that thread. Returns 0; -ESRCH; or another -errno.
 */
int registered__take_away(struct inject *inject, const struct registered *now,
			  const struct registered *then);

/* Registers what is not as it was. memory: of the process. Returns 0; -ESRCH; or another -errno:
 * some of it may be as it was. */
int registered__put_back(struct inject *inject, struct memory *memory, const struct registered *now,
			 const struct registered *then);

#endif
