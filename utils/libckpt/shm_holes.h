/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which pages of a shared mapping hold data. To read one that holds none makes the kernel find
 * memory for it, for good: a program that shares much more than it uses could not afford its own
 * image. Usable inside a signal handler.
 */
#ifndef LIBCKPT_SHM_HOLES_H
#define LIBCKPT_SHM_HOLES_H

#include "image/image.h"

/* All fields are its own. */
struct shm_holes {
	const struct image_mapping *mapping;
	int fd;        /* its file, for lseek(2); -1: it cannot be had, which needs CAP_SYS_ADMIN */
	int in_memory; /* else: are all pages that hold data in memory, so that mincore(2) knows? */
};

/* Begins with a mapping. strings: those of its image. */
void shm_holes__open(struct shm_holes *holes, const struct image_mapping *mapping,
		     const char *strings);
void shm_holes__close(struct shm_holes *holes);

/* The next pages in [start, end) of the mapping that hold data, or of which that is not known.
 * Returns 1 with *ret, or 0 if there are none. */
int shm_holes__next(const struct shm_holes *holes, uint64_t start, uint64_t end,
		    struct image_run *ret);

#endif
