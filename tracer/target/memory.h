/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The target's memory as user space reaches it: what a BPF access, which never faults, could not
 * finish. Reads and writes are only right while the target stands still (freeze.h).
 */
#ifndef TRACER_TARGET_MEMORY_H
#define TRACER_TARGET_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include "base/procfs.h"
#include "base/intervals.h"

struct memory;

/* Opens the memory of process pid. 0 and *ret_memory (memory__free), or -errno. */
int memory__open(pid_t pid, struct memory **ret_memory);

/*
 * Reads /proc/PID/maps anew and forgets what was known of single pages: to be called once the
 * target stands still, or polls. Returns 0, -ESRCH or -errno; on failure the old knowledge stays.
 */
int memory__refresh(struct memory *memory);

/* The same, but keeps the mappings unless mappings_changed: only pages are looked at again. */
int memory__look_again(struct memory *memory, bool mappings_changed);

/* The mappings as of the last refresh; valid until the next. */
const struct mappings *memory__mappings(const struct memory *memory);

/*
 * May the page at address hold data that reading it would show? False only where the kernel says
 * that it was never touched: an anonymous page without a frame and without swap, a hole of shared
 * memory. What cannot be found out counts as true.
 */
bool memory__holds_data(struct memory *memory, uint64_t address);

/*
 * Adds to pages every page of [start, end) of which memory__holds_data() would be true, but for
 * pages that are known to be the kernel's page of zeros. Costs what is resident, not what is
 * mapped, where the kernel has PAGEMAP_SCAN (6.7).
 * start, end: page-aligned. Returns 0, -ENOMEM, -ESRCH or another -errno; pages then holds a part.
 */
int memory__data_pages(struct memory *memory, uint64_t start, uint64_t end,
		       struct intervals *pages);

/* Does the kernel have PAGEMAP_SCAN, so that memory__data_pages() is cheap? */
bool memory__can_scan(struct memory *memory);

/*
 * Copy length bytes at address: process_vm_readv/writev first, /proc/PID/mem where the mapping does
 * not allow it. Return 0, or -errno after an unknown part was copied (-ESRCH: it is gone).
 */
int memory__read(struct memory *memory, uint64_t address, void *bytes, size_t length);
int memory__write(struct memory *memory, uint64_t address, const void *bytes, size_t length);

/*
 * Writes count pieces, local[i] to remote[i], of equal lengths, in as few system calls as can be.
 * *ret_forced: bytes that went through /proc/PID/mem. *ret_failed: bytes that could not be written.
 * Both are set in any case. Returns 0, -EFAULT if some failed, -ESRCH when the process is gone.
 */
int memory__write_pieces(struct memory *memory, const struct iovec *local,
			 const struct iovec *remote, size_t count, uint64_t *ret_forced,
			 uint64_t *ret_failed);

/* memory__free(NULL) is harmless. */
void memory__free(struct memory *memory);

#endif
