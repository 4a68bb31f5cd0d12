/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which memory a thread has registered with rseq(2), if the program has done that itself and the C
 * library does not know. The kernel tells only a process that traces the thread, so a child traces
 * it for a moment. Usable inside a signal handler. Needs Linux 5.13, and a kernel that lets a child
 * trace its parent.
 */
#ifndef CAPTURE_ASK_RSEQ_H
#define CAPTURE_ASK_RSEQ_H

#include "capture/capture_threads.h"

/*
 * To be called by one thread while all stand still.
 * threads: where rseq_is_unknown, it is cleared, and rseq, rseq_bytes and rseq_signature are filled
 * in. On failure they are left as they are.
 */
void ask_rseq__of(struct stopped_thread *threads);

#endif
