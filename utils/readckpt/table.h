/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An image as text for people.
 */
#ifndef READCKPT_TABLE_H
#define READCKPT_TABLE_H

#include <stdbool.h>
#include <stdio.h>

#include "image/image.h"
#include "readckpt/survey.h"

/* Writes what is in the first image of chain to out, whose errors are the caller's to see; in
 * colours if asked. */
void table__write(FILE *out, const struct image_chain *chain, const struct survey *survey,
		  bool in_colours);

#endif
