/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Soft-dirty bits (CONFIG_MEM_SOFT_DIRTY): the kernel notes which pages of a process were written
 * since all bits were cleared. They are asked for with PAGEMAP_SOFT_DIRTY, and are always clear on
 * a kernel without them. A huge page has one bit for its 512 pages. Usable inside a signal handler.
 * Source: Documentation/admin-guide/mm/soft-dirty.rst.
 */
#ifndef PAGES_SOFT_DIRTY_H
#define PAGES_SOFT_DIRTY_H

/* Clears the bits of all pages of the calling process. Returns 0 or -errno. */
int soft_dirty__clear(void);

#endif
