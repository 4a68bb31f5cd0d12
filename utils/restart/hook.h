/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The command of --hook, which the caller of restart wants to be run before the process goes on.
 */
#ifndef RESTART_HOOK_H
#define RESTART_HOOK_H

#include "image/image.h"

/*
 * Runs the command by sh(1) and waits for it. RESTART_PID is the number of the process to be,
 * RESTART_IMAGE the path of the image.
 * Returns 0 if it ended with 0; or -errno, and it has said why.
 */
int hook__run(const char *command, const struct image *image);

#endif
