/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The errors of a slab cache. Each is provoked on a small cache of its own, and explained.
 */
#ifndef SLABSIM_ERRORS_H
#define SLABSIM_ERRORS_H

#include <stdio.h>

/* Prints the names of all errors in one line, with separator between them. */
void errors__print_names(FILE *file, const char *separator);

/* Is there an error of that name? "all" is one. */
int errors__is_name(const char *name);

/*
 * Provokes the error of that name, or all of them, and prints what was done, what the
 * cache said, and what it means. Returns 0, or -EPROTO when the cache did not say what it
 * should have said (which is printed).
 */
int errors__explain(FILE *file, const char *name);

/* Prints what an error of slab_cache__free or -ENOMEM means, for one that a user has provoked. */
void errors__print_meaning(FILE *file, int err);

#endif
