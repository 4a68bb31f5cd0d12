/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Descriptors that share one open file, as after dup(2). Usable inside a signal handler.
 */
#ifndef IMAGE_IMAGE_TWIN_H
#define IMAGE_IMAGE_TWIN_H

#include <sys/types.h>

#include "image/image.h"

/* The descriptor in the image that shares the open file of process pid; -1 if there is none, or the
 * kernel has no kcmp(2). */
int32_t image_twin__find(pid_t pid, const struct image *image, const struct image_file *file);

#endif
