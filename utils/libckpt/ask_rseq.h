/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which memory a thread has registered with rseq(2), where the C library does not know because the
 * program has done it itself. The kernel tells it only to a process that traces the thread, so a
 * child does that for a moment. Needs Linux 5.13, and a kernel that lets a child trace its parent.
 */
#ifndef LIBCKPT_ASK_RSEQ_H
#define LIBCKPT_ASK_RSEQ_H

#include "libckpt/capture_threads.h"

/*
 * Called in a signal handler by one of the threads, all of which stand still.
 * threads: rseq, rseq_bytes and rseq_signature of those with rseq_is_unknown are filled in, and the
 * flag is cleared. On any failure they are left as they are.
 */
void ask_rseq__of(struct stopped_thread *threads);

#endif
