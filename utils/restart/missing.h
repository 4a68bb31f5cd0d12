/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a process comes back without: gathered while it is prepared, said in one line.
 */
#ifndef RESTART_MISSING_H
#define RESTART_MISSING_H

#include <stdbool.h>
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

/* Adds what the image itself says is not in it. */
void missing__add_image(struct missing *missing, const struct image *image);

/* Says "NAME comes back without: ...", unless nothing is missing. */
void missing__say(struct missing *missing, const struct image *image);

/* Frees it; harmless on one that was not opened and is all zeros. */
void missing__close(struct missing *missing);

/* Is it a segment of shmget(2)? It has the name of a deleted file. */
bool missing__is_sysv(const struct image *image, const struct image_mapping *mapping);

/* Is it the ring of io_setup(2)? */
bool missing__is_aio(const struct image *image, const struct image_mapping *mapping);

#endif
