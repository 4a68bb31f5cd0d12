/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An image as JSON (RFC 8259) for machines. Addresses, masks and ids are strings, "0x23", for not
 * every reader keeps all bits of a number; sizes and counts are numbers. readckpt(1) has the names.
 */
#ifndef READCKPT_JSON_H
#define READCKPT_JSON_H

#include <stdio.h>

#include "image/image.h"
#include "readckpt/survey.h"

/* Writes what is in the first image of chain to out, whose errors are the caller's to see. */
void json__write(FILE *out, const struct image_chain *chain, const struct survey *survey);

/* The same for a file that cannot be opened: {"file": ..., "intact": false, "faults": [...]}. */
void json__write_error(FILE *out, const char *path, const char *message);

#endif
