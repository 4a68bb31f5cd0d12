/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See workspace.h. Nothing is freed one by one, so a pointer that moves is all it takes.
 */
#include "ckpt/workspace.h"

#include <errno.h>
#include <sys/mman.h>

int workspace__open(struct workspace *w, size_t bytes)
{
	void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	*w = (struct workspace){0};
	if (base == MAP_FAILED)
		return -errno;
	*w = (struct workspace){.base = base, .bytes = bytes};
	return 0;
}

void *workspace__take(struct workspace *w, size_t bytes)
{
	void *taken = w->base + w->used;

	if (bytes > w->bytes - w->used - 64)
		return NULL;
	w->used += (bytes + 63) / 64 * 64;
	return taken;
}

void workspace__close(struct workspace *w)
{
	if (w->base)
		(void)munmap(w->base, w->bytes);
	*w = (struct workspace){0};
}
