/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The current folder of the process. What it opens by a relative name is another file if this is
 * another folder.
 */
#ifndef REOPEN_FOLDER_H
#define REOPEN_FOLDER_H

#include "image/image.h"

/* What has become of the folder: "is another one now"; NULL if it is what it was, as far as the
 * image says, or had been deleted already. */
const char *folder__find_change(const struct image *image);

/* Goes there. Of a folder that had been deleted, makes another one, which is deleted too, so that
 * relative names lead nowhere. If that fails, says so and stays. */
void folder__enter(const struct image *image);

#endif
