/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A thread that stands still in the handler, with all that only it can tell of itself.
 */
#ifndef CAPTURE_STOPPED_THREAD_H
#define CAPTURE_STOPPED_THREAD_H

#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#include "image/image.h"

enum { CAPTURE_SETTINGS = 7 }; /* kinds that a thread has of its own */

/* What the kernel tells a thread of itself only. */
struct thread_settings {
	struct image_policy policy;
	int told[CAPTURE_SETTINGS]; /* by prctl(2); -1: nothing */
};

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

#endif
