/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Directories of /proc whose files are numbers: task, fd.
 */
#ifndef ROLLBACK_NUMBER_DIRECTORY_H
#define ROLLBACK_NUMBER_DIRECTORY_H

#include "rollback/checkpoint.h"

/* Calls visit for each number, from the first on, until that returns an error. Returns that, 0, or
 * -errno. */
int number_directory__each(int fd, struct rollback *rollback,
			   int (*visit)(struct rollback *rollback, int number));

#endif
