/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Descriptors that share one open file, as after dup(2); threads that share all of them. Usable
 * inside a signal handler.
 */
#ifndef IMAGE_IMAGE_TWIN_H
#define IMAGE_IMAGE_TWIN_H

#include <stdbool.h>
#include <sys/types.h>

#include "image/image.h"

/* The descriptor in the image that shares the open file of process pid, or -1. For a process other
 * than the caller, the kernel must have kcmp(2). */
int32_t image_twin__find(pid_t pid, const struct image *image, const struct image_file *file);

/* Has a thread open files, or a current folder and umask, of its own (unshare(2))? first: another
 * thread of its process. Not known if the kernel forbids kcmp(2). */
bool image_twin__is_apart(pid_t first, pid_t tid);

#endif
