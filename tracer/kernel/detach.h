/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Closing the hooks in the background. For each perf event that is closed the kernel waits until no
 * processor runs the hook. That takes 35 to 70 ms each, one after the other (6.18,
 * perf_event_detach_bpf_prog() and perf_trace_event_unreg()). The user need not wait for that.
 */
#ifndef TRACER_KERNEL_DETACH_H
#define TRACER_KERNEL_DETACH_H

#include <stdbool.h>

struct detach { /* private */
	int lock_fd;
	int parent_fd;
};

/*
 * Forks a helper. Both processes then close all BPF objects and perf events. The helper does it
 * last, when the caller has done it or has died. So it is the helper who waits for the kernel. It
 * has left the caller's session and working directory, and has closed all files that the caller has
 * inherited. Five helpers may exist at a time: before the fork, the caller waits for one of an
 * earlier tracer to end, at most ten seconds.
 *
 * Returns true in the helper; call detach__exit() after closing. Returns false in the caller; call
 * detach__end() after closing. Without a helper, closing is slow: none can be started, or the
 * earlier ones do not end.
 */
bool detach__begin(struct detach *ret_detach);

void __attribute__((noreturn)) detach__exit(void);

void detach__end(struct detach *detach);

#endif
