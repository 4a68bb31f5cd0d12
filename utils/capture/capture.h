/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Describing the calling process as a struct image: everything but its memory. Usable inside a
 * signal handler, while all other threads stand still in theirs.
 */
#ifndef CAPTURE_CAPTURE_H
#define CAPTURE_CAPTURE_H

#include "image/image.h"
#include "own_memory/arena.h"
#include "capture/capture_threads.h"

/*
 * Describes the process.
 * image: filled in, but for its segments, unchanged and missing runs, info.id and parent. arena:
 * has all that the image points to. threads: all of them, the first one first. own: memory of our
 * own, own_count ranges in address order, which become IMAGE_ARENA. hidden_fds: files of our own,
 * -1 at its end.
 * step: what was being done when it failed.
 * Returns 0; -ENOMEM if the arena is too small; -IMAGE_APART (image_reason.h); or the -errno of
 * reading /proc.
 */
int capture__process(struct image *image, struct arena *arena, struct stopped_thread *threads,
		     const struct image_run *own, size_t own_count, const int *hidden_fds,
		     const char **step);

/* Which children and pending signals the process has, as IMAGE_MISSING_ bits: no image holds them.
 * To be asked in the process itself, for a forked child has none of them. threads: all of them.
 * come_again: signals, bit N-1 for signal N, that are sent again, so it does not matter if they are
 * pending. */
uint64_t capture__missing(const struct stopped_thread *threads, uint64_t come_again);

#endif
