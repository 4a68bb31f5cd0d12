/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Asynchronous write protection by userfaultfd(2) (UFFD_FEATURE_WP_ASYNC, Linux 6.7): the kernel
 * itself handles the fault of the first write, and notes that the page was written. The pages are
 * asked for with PAGEMAP_WRITTEN and PAGEMAP_TRACKED. Usable inside a signal handler.
 */
#ifndef PAGES_WRITE_PROTECT_H
#define PAGES_WRITE_PROTECT_H

#include <stdbool.h>
#include <stdint.h>

/* Makes a userfaultfd for the memory of the calling process. To close it ends all protection.
 * Returns its descriptor or -errno; -EOPNOTSUPP if the kernel is too old. */
int write_protect__open(void);

/* Does this number of the calling process belong to a userfaultfd still? The program may have
 * closed it, and opened another file. */
bool write_protect__is_open(int uffd);

/*
 * Registers [start, end), which is page-aligned. All its pages are written until pagemap__protect.
 * Returns 0 or -errno: a mapping of another userfaultfd, of a kind that cannot be registered, or
 * none.
 */
int write_protect__register(int uffd, uint64_t start, uint64_t end);

#endif
