/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Describing the calling process as a struct image: everything but which memory goes into the file.
 * Used inside a signal handler, while all other threads stand still in theirs. All memory is of a
 * arena.
 */
#ifndef LIBCKPT_CAPTURE_H
#define LIBCKPT_CAPTURE_H

#include <stdbool.h>
#include <sys/types.h>
#include <ucontext.h>

#include "image/image.h"
#include "libckpt/arena.h"

/* A thread that stands still, on its own stack. */
struct stopped_thread {
	struct stopped_thread *next;
	const ucontext_t *interrupted; /* the kernel's signal frame: the program's registers */
	ucontext_t resume;             /* by getcontext(3), inside the handler */
	struct image_thread thread;
	bool rseq_is_unknown; /* registered by the program itself, who knows where */
};

/* Fills in thread->thread for the calling thread, but for the resume point. Only system calls. */
void capture__thread(struct stopped_thread *thread);

/*
 * Describes the process.
 * image: filled in; its segments, unchanged and missing stay empty, and so do info.id and parent.
 * arena: what the image points to is taken from it; its own mapping, and that of each range of
 * own (own_count of them), is marked as scratch.
 * threads: all threads, the first one first; resume points are taken from them.
 * hidden_fds: -1 at its end; files that are not the program's.
 * step: what was being done when it failed.
 * Returns 0, -ENOMEM when the arena is too small, or the -errno of reading /proc.
 */
int capture__process(struct image *image, struct arena *arena, struct stopped_thread *threads,
		     const struct image_run *own, size_t own_count, const int *hidden_fds,
		     const char **step);

/* What of children, pending signals and timers the process has, which no image holds:
 * IMAGE_MISSING_ bits. Not in a forked child, which has nothing of it. own_timers:
 * those that are not the program's. */
uint64_t capture__missing(unsigned int own_timers);

/* Adds a string (shorter than PATH_MAX) to an image that capture__process has
 * filled in. There is room for two. */
uint32_t capture__keep(struct image *image, const char *text);

/* Reads the numbers of the threads of this process that have not ended, at most max of them.
 * Returns how many there are, or -errno. */
ssize_t capture__threads(pid_t *tids, size_t max);

#endif
