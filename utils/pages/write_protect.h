/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Asynchronous write protection by userfaultfd(2) (UFFD_FEATURE_WP_ASYNC, Linux 6.7): the kernel
 * itself handles the fault of the first write, and notes that the page was written. The pages are
 * asked for with PAGEMAP_WRITTEN and PAGEMAP_TRACKED. A userfaultfd belongs to the memory of the
 * process that made it, whoever has it. Usable inside a signal handler.
 */
#ifndef PAGES_WRITE_PROTECT_H
#define PAGES_WRITE_PROTECT_H

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdbool.h>
#include <stdint.h>

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1 /* linux/userfaultfd.h of 5.11 */
#endif

/* What userfaultfd(2) is to be called with: anybody may, for no fault is ever handed over. */
#define WRITE_PROTECT_FLAGS (O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY)

/* Makes a userfaultfd for the memory of the calling process. To close it ends all protection.
 * Returns its descriptor, with its inode in *ret_inode; or -errno; -EOPNOTSUPP if the kernel is too
 * old. */
int write_protect__open(uint64_t *ret_inode);

/* Prepares a new userfaultfd, of the caller or of another process. Returns 0 with its inode in
 * *ret_inode, or -EOPNOTSUPP if the kernel is too old. */
int write_protect__prepare(int uffd, uint64_t *ret_inode);

/* Does this number of the calling process belong to that userfaultfd still? The program may have
 * closed it, and opened another file, or made a userfaultfd of its own. */
bool write_protect__is_open(int uffd, uint64_t inode);

/*
 * Registers [start, end), which is page-aligned. All its pages count as written until
 * pagemap__protect. Exception: mremap(2) may leave protection of an earlier registration behind
 * (seen with Linux 6.18). Such pages look clean, and may be writable.
 * Returns 0 or -errno: a mapping of another userfaultfd, of a kind that cannot be registered, or
 * none.
 */
int write_protect__register(int uffd, uint64_t start, uint64_t end);

/* Makes the pages of [start, end) written again, without a fault. Returns 0 or -errno. */
int write_protect__release(int uffd, uint64_t start, uint64_t end);

#endif
