/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A cache for people: its numbers, and a picture of each slab.
 *
 *	slab 1  full     [################]
 *	slab 2  partial  [##.#..______!___]
 */
#ifndef SLABSIM_PICTURE_H
#define SLABSIM_PICTURE_H

#include <stdio.h>
#include "slab/slab.h"

/* May file get colours? True for a terminal, if NO_COLOR is not set. */
bool picture__has_colors(FILE *file);

/* Print the numbers / the slabs in the order in which they were made / the meaning of the signs. 0,
 * or -ENOMEM if not all was printed; errors of file stay in file. */
void picture__print_numbers(FILE *file, const struct slab_cache *cache);
int picture__print_slabs(FILE *file, struct slab_cache *cache, bool colors);
void picture__print_legend(FILE *file, bool colors);

#endif
