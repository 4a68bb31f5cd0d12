/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which pages of a shared mapping hold data. When a hole is read, the kernel allocates memory for
 * it and keeps that. A program that shares much more than it uses could run out of memory. Usable
 * inside a signal handler.
 */
#ifndef OWN_MEMORY_SHM_HOLES_H
#define OWN_MEMORY_SHM_HOLES_H

#include <stdbool.h>

#include "image/image.h"

/* All fields are its own. */
struct shm_holes {
	const struct image_mapping *mapping;
	int fd; /* of its file, for lseek(2); -1: it cannot be opened, which needs CAP_SYS_ADMIN */
	bool in_memory; /* without fd: are all pages that hold data in memory, for mincore(2)? */
};

/* strings: of the image that the mapping belongs to; both are borrowed. */
void shm_holes__open(struct shm_holes *holes, const struct image_mapping *mapping,
		     const char *strings);
void shm_holes__close(struct shm_holes *holes);

/* Finds the next pages in [start, end) of the mapping that hold data, or that may. Returns whether
 * there are any; *ret_run. */
bool shm_holes__next(const struct shm_holes *holes, uint64_t start, uint64_t end,
		     struct image_run *ret_run);

#endif
