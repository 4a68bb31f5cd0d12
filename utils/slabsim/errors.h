/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The errors of a slab cache. Each is provoked on a small cache of its own, and explained.
 */
#ifndef SLABSIM_ERRORS_H
#define SLABSIM_ERRORS_H

#include <stdbool.h>
#include <stdio.h>

/* Prints the names of all errors in one line, with separator between them. */
void errors__print_names(FILE *file, const char *separator);

/* Is there an error of that name? True for "all". */
bool errors__is_name(const char *name);

/*
 * Provokes the error of that name, or "all", and prints what is done, the error of the cache, and
 * its meaning. Returns 0, or -EPROTO, after printing it, if the cache returned another error.
 */
int errors__explain(FILE *file, const char *name);

/* Prints the meaning of an error of slab_cache__free, or of -ENOMEM. */
void errors__print_meaning(FILE *file, int err);

#endif
