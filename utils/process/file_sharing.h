/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Descriptors that share one open file, as after dup(2); threads that share all open files. Usable
 * inside a signal handler.
 */
#ifndef PROCESS_FILE_SHARING_H
#define PROCESS_FILE_SHARING_H

#include <stdbool.h>
#include <sys/types.h>

#include "image/image.h"

/* Returns a descriptor in the image that shares the open file of file, or -1. pid: the process that
 * has both. If it is not the caller, this needs kcmp(2). */
int32_t file_sharing__find_twin(pid_t pid, const struct image *image,
				const struct image_file *file);

/* Has a thread open files, or a current folder and umask, of its own (unshare(2))? first: another
 * thread of its process. False if kcmp(2) is forbidden. */
bool file_sharing__is_apart(pid_t first, pid_t tid);

#endif
