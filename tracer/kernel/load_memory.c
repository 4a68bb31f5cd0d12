/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See load_memory.h.
 */
#include "kernel/load_memory.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/page.h"

enum {
	BLOCK_BYTES = 16 << 20,
	LOADING_BYTES = 32 << 20, /* smaller blocks are kept once they are free; malloc's most */
	LATER_BYTES = 4 << 20,
};

static void keep_blocks(int bytes)
{
	(void)mallopt(M_MMAP_THRESHOLD, bytes);
	(void)mallopt(M_TRIM_THRESHOLD, bytes);
}

void load_memory__reserve(void)
{
	char *block;
	uintptr_t start;

	keep_blocks(LOADING_BYTES);
	block = malloc(BLOCK_BYTES);
	if (!block)
		return;
	start = ((uintptr_t)block + PAGE_BYTES - 1) & -(uintptr_t)PAGE_BYTES;
	(void)madvise((void *)start, BLOCK_BYTES - PAGE_BYTES, MADV_HUGEPAGE);
	free(block);
}

void load_memory__release(void)
{
	keep_blocks(LATER_BYTES);
	(void)malloc_trim(0);
}
