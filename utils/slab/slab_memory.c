/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The default source of memory: mmap and munmap, without the C library. Its wrappers write errno,
 * which needs the FS register. Memory from here is zero.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "slab_internal.h"

/* Linux on x86-64: the number in rax; arguments in rdi, rsi, rdx, r10, r8, r9; rcx and r11 are
 * lost. syscall(2). */
static long map(size_t bytes)
{
	register long protection __asm__("rdx") = PROT_READ | PROT_WRITE;
	register long flags __asm__("r10") = MAP_PRIVATE | MAP_ANONYMOUS;
	register long fd __asm__("r8") = -1;
	register long offset __asm__("r9") = 0;
	long result = SYS_mmap;

	__asm__ volatile("syscall"
			 : "+a"(result)
			 : "D"(0), "S"(bytes), "r"(protection), "r"(flags), "r"(fd), "r"(offset)
			 : "rcx", "r11", "memory");
	return result;
}

static int unmap(uintptr_t start, size_t bytes)
{
	long result = SYS_munmap;

	if (!bytes)
		return 0;
	__asm__ volatile("syscall"
			 : "+a"(result)
			 : "D"(start), "S"(bytes)
			 : "rcx", "r11", "memory");
	return (int)result;
}

/* The kernel places a mapping right below the last one if it can. So among slabs of one size the
 * first try is mostly aligned. Otherwise more than needed is mapped, and trimmed. */
static void *get(size_t bytes, size_t alignment, void *argument)
{
	uintptr_t start, aligned;
	size_t more = bytes + alignment - PAGE_BYTES;
	long result = map(bytes);

	(void)argument;
	if (result < 0 && result >= -4095)
		return NULL;
	if (((uintptr_t)result & (alignment - 1)) == 0)
		return (void *)result;
	(void)unmap((uintptr_t)result, bytes);
	result = map(more);
	if (result < 0 && result >= -4095)
		return NULL;
	start = (uintptr_t)result;
	aligned = round_up(start, alignment);
	/* if a limit on mappings forbids to trim, addresses are lost but no memory */
	(void)unmap(start, aligned - start);
	(void)unmap(aligned + bytes, start + more - aligned - bytes);
	return (void *)aligned;
}

static int put(void *start, size_t bytes, void *argument)
{
	(void)argument;
	return unmap((uintptr_t)start, bytes);
}

void *source__get(struct source *source, size_t bytes, size_t alignment)
{
	const struct slab_memory *memory = &source->memory;
	void *start = memory->get ? memory->get(bytes, alignment, memory->argument)
				  : get(bytes, alignment, NULL);

	if (start)
		source->bytes += bytes;
	return start;
}

int source__put(struct source *source, void *start, size_t bytes)
{
	const struct slab_memory *memory = &source->memory;
	int err =
		memory->put ? memory->put(start, bytes, memory->argument) : put(start, bytes, NULL);

	if (!err)
		source->bytes -= bytes;
	return err;
}
