/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Memory for the time of one image, taken from the kernel and given back as a whole: it is used
 * inside a signal handler, where malloc may be locked by the very thread that was interrupted.
 */
#ifndef CKPT_WORKSPACE_H
#define CKPT_WORKSPACE_H

#include <stddef.h>

struct workspace {
	unsigned char *base; /* page-aligned; NULL: none */
	size_t bytes, used;
};

/* Reserves bytes of address space; memory is taken as it is used. Returns 0 or -errno; *w is then
 * empty. */
int workspace__open(struct workspace *w, size_t bytes);

/* bytes of zeros, aligned to 64, which live until workspace__close; NULL if there is no more. */
void *workspace__take(struct workspace *w, size_t bytes);

/* Gives all of it back; harmless on an empty one. */
void workspace__close(struct workspace *w);

#endif
