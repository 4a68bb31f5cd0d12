/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Has restart the root folder and the mount namespace of the process? Only then do names of files
 * mean the same. Numbers of devices and namespaces hold until the next boot.
 */
#ifndef REOPEN_SAME_ROOT_H
#define REOPEN_SAME_ROOT_H

#include <stdbool.h>

#include "image/image.h"
#include "reopen/missing.h"

/* Has the caller the same ones? True as well if the image does not say. Otherwise *ret_difference
 * tells the difference: "another root folder ...". */
bool same_root__is(const struct image *image, const char **ret_difference);

/* Adds the other namespaces that the caller is not in, in words. */
void same_root__add_missing(const struct image *image, struct missing *missing);

/* Has the machine not been booted since the image was written, as far as the image says? */
bool same_root__is_same_boot(const struct image *image);

#endif
