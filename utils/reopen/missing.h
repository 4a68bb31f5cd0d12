/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a process comes back without: gathered while it is prepared, said in one line.
 */
#ifndef REOPEN_MISSING_H
#define REOPEN_MISSING_H

#include <stddef.h>
#include <stdio.h>

#include "image/image.h"

struct missing {
	FILE *out; /* writes to text */
	char *text;
	size_t bytes;
};

/* Begins with nothing. Returns 0; or -ENOMEM, and it has said so. */
int missing__open(struct missing *missing);

/* Adds what the program may miss, in words: "descriptor 3 (a pipe)". */
void missing__add(struct missing *missing, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Says "NAME comes back without: ...", unless nothing is missing. */
void missing__say(struct missing *missing, const struct image *image);

/* Frees it; harmless on one that was not opened and is all zeros. */
void missing__close(struct missing *missing);

#endif
