/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Between the parts of capture: capture.c, capture_threads.c, capture_mappings.c, capture_files.c
 * and capture_attributes.c. Nobody else needs it.
 */
#ifndef LIBCKPT_CAPTURE_INTERNAL_H
#define LIBCKPT_CAPTURE_INTERNAL_H

#include "libckpt/capture.h"

/* What is being filled in. */
struct capture {
	struct image *image;
	struct arena *arena;
	char *strings;
	size_t strings_room;
};

/* Keeps a string of the image; returns its offset, or 0, which is the empty string, if there is no
 * room. */
uint32_t capture__keep_string(struct capture *capture, const char *text, size_t length);

/* Fills in threads and registers, each as threads has it. Returns 0 or -ENOMEM. */
int capture__add_threads(struct capture *capture, struct stopped_thread *threads);

/*
 * Fills in the mappings.
 * text: /proc/self/maps. own: own_count ranges, in address order, which are marked as scratch.
 * Returns 0 or -ENOMEM.
 */
int capture__add_mappings(struct capture *capture, const char *text, const struct image_run *own,
			  size_t own_count);

/*
 * Fills in the open files.
 * capture: its image->files has room for them; NULL: they are only counted.
 * hidden: fds that are left out, -1 at its end.
 * Returns how many there are, or -errno.
 */
ssize_t capture__add_files(struct capture *capture, const int *hidden);

/* Fills in attributes and groups. threads: all of them. Returns 0 or -errno. */
int capture__add_attributes(struct capture *capture, const struct stopped_thread *threads);

#endif
