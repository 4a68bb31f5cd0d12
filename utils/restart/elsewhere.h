/* SPDX-License-Identifier: BSD-2-Clause
 *
 * restart is linked twice, at two addresses. If the process had memory where this one is, the other
 * one takes over. become/move_away.h then leaves all addresses but its own.
 */
#ifndef RESTART_ELSEWHERE_H
#define RESTART_ELSEWHERE_H

#include <stdbool.h>
#include <stdint.h>

#include "image/image.h"

/* The mapping of the image that lies where this program is, or NULL. */
const struct image_mapping *elsewhere__find_overlap(const struct image *image);

/* If there is one, executes the other program with the same arguments. Returns if there is no need,
 * if this is the other one, or if it cannot be executed. */
void elsewhere__run(const struct image *image, char **argv);

/* Where this program lies: page-aligned. */
uint64_t elsewhere__start(void);
uint64_t elsewhere__end(void);

#endif
