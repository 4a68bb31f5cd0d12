/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The open files of the calling process: /proc/self/fd and fdinfo. Usable inside a signal handler.
 */
#ifndef CAPTURE_CAPTURE_FILES_H
#define CAPTURE_CAPTURE_FILES_H

#include <sys/types.h>

#include "capture/capture_strings.h"

/*
 * Fills in the open files of the image.
 * capture: the files, sizes and births of its image have room for file_room of them; NULL: they are
 * only counted. hidden: numbers that are left out, -1 at its end.
 * Returns how many there are; -EAGAIN if there is no room for one, which another process that
 * shares the numbers (clone(2), CLONE_FILES) has opened meanwhile; or -errno.
 */
ssize_t capture_files__add(struct capture *capture, const int *hidden);

#endif
