/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The files that restart itself has open get numbers above all that the process had.
 */
#ifndef REOPEN_HIGH_FILES_H
#define REOPEN_HIGH_FILES_H

#include "image/image.h"

/* The first of these numbers. */
int high_files__first(const struct image *image);

/* Raises the limit of open files, as far as it may, and moves the images' files to first_fd or
 * above. Returns 0; or -errno, and it has said why. */
int high_files__move(struct image_chain *chain, int first_fd);

/* A copy of stderr for messages, since the number is the process's. *ret is -1 if stderr is closed.
 * Returns 0; or -errno, and it has said why. */
int high_files__keep_stderr(int first_fd, int *ret);

/* Moves an open file to a number from first_fd on. Returns the new one; or -errno, and fd is still
 * open. */
int high_files__move_one(int fd, int first_fd);

#endif
