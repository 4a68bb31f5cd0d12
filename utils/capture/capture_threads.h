/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The threads of the calling process: which there are, their registers, and what each has
 * registered with the kernel. Usable inside a signal handler.
 */
#ifndef CAPTURE_CAPTURE_THREADS_H
#define CAPTURE_CAPTURE_THREADS_H

#include <stdbool.h>
#include <sys/types.h>
#include <ucontext.h>

#include "capture/capture_settings.h"
#include "capture/capture_strings.h"

/* Those that a thread of several can leave alone: network, host name, IPC, control groups. */
enum { CAPTURE_THREAD_NAMESPACES = 4 };

/* A thread that stands still in the handler; on its own stack. */
struct stopped_thread {
	struct stopped_thread *next;
	const ucontext_t *interrupted; /* the kernel's signal frame: the program's registers */
	ucontext_t resume;             /* by getcontext(3), inside the handler */
	struct image_thread thread;
	struct image_scheduling scheduling;
	struct thread_settings settings;
	uint64_t namespaces[CAPTURE_THREAD_NAMESPACES]; /* their numbers */
	uint64_t pending;                               /* signals, bit N-1 for signal N */
	uint32_t users[8];    /* and groups: real, effective, saved, of the file system */
	bool rseq_is_unknown; /* registered by the program itself; ask_rseq.h finds out where */
};

/* Lists the threads of this process, at most max of them; the main one even if it has ended alone.
 * Returns how many there are, which may be more than max; or -errno. */
ssize_t capture_threads__list(pid_t *tids, size_t max);

/* In a process that was brought back: the number that the thread has now, if it is one of them.
 * restart has written it where the C library keeps it. */
pid_t capture_threads__new_tid(const struct stopped_thread *threads, pid_t old);

/* Fills in thread->thread for the calling thread, all but the resume point. */
void capture_threads__describe(struct stopped_thread *thread);

/* Fills in the threads and registers of the image. threads: all of them, the first one first; their
 * resume points are set. Returns 0 or -ENOMEM. */
int capture_threads__add(struct capture *capture, struct stopped_thread *threads);

#endif
