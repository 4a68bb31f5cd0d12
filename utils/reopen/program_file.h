/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The file that a process was started from, which /proc/PID/exe names. With CAP_CHECKPOINT_RESTORE,
 * restart can change it from its own to that of the process.
 */
#ifndef REOPEN_PROGRAM_FILE_H
#define REOPEN_PROGRAM_FILE_H

#include "image/image.h"

/*
 * Opens that of the image, and turns the mappings of restart's own file into memory without a file.
 * As long as it is mapped, the kernel does not let the name be changed. Returns a descriptor from
 * first_fd on; or -1 if the name must stay.
 */
int program_file__open(const struct image *image, int first_fd);

#endif
