/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Is this the place where the process was? The names of files mean the same only under the same
 * root folder and in the same mount namespace; numbers of devices and namespaces hold until the
 * next boot.
 */
#ifndef RESTART_SAME_PLACE_H
#define RESTART_SAME_PLACE_H

#include <stdbool.h>

#include "image/image.h"

/* Is the caller where the process was? True as well if the image does not say. Otherwise
 * *ret_difference is what differs: "another root folder ...". */
bool same_place__is(const struct image *image, const char **ret_difference);

/* Has the machine not been booted since the image was written, as far as the image says? */
bool same_place__is_same_boot(const struct image *image);

#endif
