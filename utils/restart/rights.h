/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The capabilities of the process and those of the caller, which it goes on with.
 */
#ifndef RESTART_RIGHTS_H
#define RESTART_RIGHTS_H

#include <stdbool.h>

#include "image/image.h"
#include "reopen/missing.h"

/* Has the caller capabilities that the process had given up? False if the image does not say. */
bool rights__has_more(const struct image_rights *rights);

/* Adds capabilities that the process had and the caller has not, if both are of one user. */
void rights__add_missing(const struct image *image, struct missing *missing);

#endif
