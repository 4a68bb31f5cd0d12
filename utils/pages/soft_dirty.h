/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Soft-dirty bits (CONFIG_MEM_SOFT_DIRTY): the kernel notes which pages of a process were written
 * since all bits were cleared. They are asked for with PAGEMAP_SOFT_DIRTY, and are always clear on
 * a kernel without them. A huge page has one bit for its 512 pages. A page that was given back and
 * then only read is the page of zeros, and clean. Usable inside a signal handler.
 * Source: Documentation/admin-guide/mm/soft-dirty.rst.
 */
#ifndef PAGES_SOFT_DIRTY_H
#define PAGES_SOFT_DIRTY_H

/* Clears the bits of all pages of a process. fd: of its /proc/PID/clear_refs, open for writing; -1
 * for the calling process. Returns 0, -ESRCH or another -errno. */
int soft_dirty__clear(int fd);

#endif
