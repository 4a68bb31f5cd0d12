/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A child that traces threads of this process, each for a moment. The kernel tells some things of a
 * thread, and lets some be changed, only if another process traces it. Usable inside a signal
 * handler. The kernel may forbid it: Yama, a seccomp(2) filter, a tracer that is there already.
 */
#ifndef CAPTURE_TRACING_CHILD_H
#define CAPTURE_TRACING_CHILD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A request of ptrace(2), in the child. Returns as ptrace(2) does. */
long tracing_child__ask(unsigned long request, pid_t tid, uint64_t address, void *data);

/*
 * Calls visit in a child for each of the threads, one after the other, while the child traces the
 * thread and it stands still. Threads that cannot be traced are left out. What visit writes must
 * lie in shared memory; the argument is handed on. Returns when the child is gone.
 */
void tracing_child__visit(const pid_t *tids, size_t count,
			  void (*visit)(size_t index, pid_t tid, void *argument), void *argument);

#endif
