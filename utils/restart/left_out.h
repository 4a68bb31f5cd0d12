/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What an image itself says is not in it: file locks, child processes, pages that could not be
 * read.
 */
#ifndef RESTART_LEFT_OUT_H
#define RESTART_LEFT_OUT_H

#include "image/image.h"
#include "reopen/missing.h"

/* Adds all of it, in words. */
void left_out__add_missing(const struct image *image, struct missing *missing);

#endif
