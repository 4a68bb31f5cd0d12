/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The names of what prctl(2) sets, for messages.
 */
#ifndef IMAGE_SETTING_NAMES_H
#define IMAGE_SETTING_NAMES_H

#include <stdint.h>

/* "PR_MCE_KILL"; of an option that no image has: "a setting". */
const char *setting_names__of(uint32_t option);

#endif
