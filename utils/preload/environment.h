/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reading the settings from the environment, see libckpt(7).
 */
#ifndef PRELOAD_ENVIRONMENT_H
#define PRELOAD_ENVIRONMENT_H

#include "libckpt/settings.h"

enum { SETTINGS_MESSAGE_BYTES = 256, SETTINGS_KEEP_MAX = 1000 };

/*
 * Reads the environment into *settings, and sets all of it.
 * message: SETTINGS_MESSAGE_BYTES; on failure it says which variable is wrong, why, and what it may
 * be.
 * Returns 0; -EINVAL or -ERANGE for a value; -ENAMETOOLONG; or the -errno of getcwd(3). On failure
 * only settings->signal may be used.
 */
int environment__read(struct settings *settings, char *message);

#endif
