/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reads and writes the target's memory from user space: pages that BPF cannot reach, since its
 * accesses never fault, and all pages where BPF is not used. A copy is consistent only while the
 * target stands still (freeze.h).
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
#include "pages/pagemap.h"

struct memory;

/* Opens the memory of process pid. 0 and *ret_memory (memory__free), or -errno. */
int memory__open(pid_t pid, struct memory **ret_memory);

/*
 * Reads /proc/PID/maps again and forgets the state of pages. Call it when the target stands still
 * or polls. Returns 0, -ESRCH or -errno; on failure nothing changes.
 */
int memory__refresh(struct memory *memory);

/* The same, but reads the mappings only if mappings_changed. */
int memory__look_again(struct memory *memory, bool mappings_changed);

/* The mappings as of the last refresh; valid until the next. */
const struct mappings *memory__mappings(const struct memory *memory);

/* The number of the first of them that ends above address. */
size_t memory__first_mapping(const struct memory *memory, uint64_t address);

/* The target's pagemap, for a walk that no other call on memory interrupts. */
struct pagemap *memory__pagemap(struct memory *memory);

/*
 * May the page at address hold data? False only if the kernel says that it was never touched. That
 * is an anonymous page that is neither in memory nor swapped, or a hole of shared memory. True if
 * that cannot be found out.
 */
bool memory__holds_data(struct memory *memory, uint64_t address);

/*
 * Adds to pages every page of [start, end) for which memory__holds_data() is true. The kernel's
 * zero page is left out where it is known. With PAGEMAP_SCAN (Linux 6.7) the cost follows the
 * resident pages, not the mapped ones.
 * start, end: page-aligned. Returns 0, -ENOMEM, -ESRCH or another -errno; on failure pages may be
 * incomplete.
 */
int memory__data_pages(struct memory *memory, uint64_t start, uint64_t end,
		       struct intervals *pages);

/* The same for all of ranges. */
int memory__all_data_pages(struct memory *memory, const struct intervals *ranges,
			   struct intervals *pages);

/* Does the kernel have PAGEMAP_SCAN, so that memory__data_pages() is cheap? */
bool memory__can_scan(const struct memory *memory);

/*
 * Copy length bytes at address, with process_vm_readv/writev, or with /proc/PID/mem where the
 * mapping does not allow it. Return 0, -ESRCH if the target is gone, or another -errno; on failure
 * an unknown part was copied.
 */
int memory__read(struct memory *memory, uint64_t address, void *bytes, size_t length);
int memory__write(struct memory *memory, uint64_t address, const void *bytes, size_t length);

/* Reads count pieces, remote[i] into local[i], each pair of equal length, in few system calls. The
 * length of a local piece that cannot be read becomes 0. Returns 0, or -ESRCH: some were not. */
int memory__read_each(struct memory *memory, struct iovec *local, const struct iovec *remote,
		      size_t count);

/* Reads whole pages: the bytes of all remote pieces, one after the other, into all local pieces, by
 * one system call if the kernel can read all of them. At most IOV_MAX of each. Returns 0, -ESRCH or
 * another -errno; on failure an unknown part was copied. */
int memory__read_pieces(struct memory *memory, const struct iovec *local, size_t locals,
			const struct iovec *remote, size_t remotes);

/*
 * Writes count pieces, local[i] to remote[i], each pair of equal length, in few system calls.
 * *ret_forced: bytes written through /proc/PID/mem. *ret_failed: bytes that could not be written.
 * Both are always set. Returns 0; -EFAULT if some failed; -ESRCH if the target is gone.
 */
int memory__write_pieces(struct memory *memory, const struct iovec *local,
			 const struct iovec *remote, size_t count, uint64_t *ret_forced,
			 uint64_t *ret_failed);

/* memory__free(NULL) is harmless. */
void memory__free(struct memory *memory);

#endif
