/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The rseq(2) areas of stopped threads: thread-local memory in which the kernel tells a thread the
 * processor that it runs on. The kernel writes an area only when its thread has been moved, so a
 * restore must leave it as it is. The bytes are kept before the restore writes, and put back after
 * it. For a thread that polls while BPF writes, bpf/rseq.bpf.h does the same.
 */
#ifndef TRACER_TARGET_RSEQ_H
#define TRACER_TARGET_RSEQ_H

#include <stddef.h>
#include <sys/types.h>
#include "target/memory.h"

struct rseq_area;

struct rseq_areas { /* zero-initialised: nothing is kept */
	struct rseq_area *items;
	size_t count, room;
};

/* Keeps the area of thread tid, which the caller has stopped with ptrace(2). What cannot be read
 * is left out: a restore cannot write it either. 0 or -ENOMEM. */
int rseq__keep(struct rseq_areas *areas, struct memory *memory, pid_t tid);

/* Puts back what was kept, and keeps nothing any more. */
void rseq__put(struct rseq_areas *areas, struct memory *memory);

/* Keeps nothing any more. Room is kept for the next time. */
void rseq__forget(struct rseq_areas *areas);

/* Frees the room; harmless when there is none. */
void rseq__clear(struct rseq_areas *areas);

#endif
