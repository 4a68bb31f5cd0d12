/* SPDX-License-Identifier: BSD-2-Clause
 *
 * mremap(2) of memory that would be one mapping, had it never been watched. The kernel does not
 * merge a mapping that is watched with one that is not. It does not merge them later if both have
 * been written since (before Linux 6.16, also if one has). Then mremap(2) fails with EFAULT, which
 * the program would not see without libckpt.
 */
#ifndef PRELOAD_REMAP_H
#define PRELOAD_REMAP_H

#include <stdint.h>

/*
 * Does in several calls what one mremap(2) has refused with EFAULT. The arguments are those of the
 * call: addresses and lengths at the boundary of a page, and to if flags has MREMAP_FIXED. May be
 * called in a signal handler.
 * Returns the new address; -EFAULT if the range is not anonymous memory of one kind without holes;
 * -ENOMEM or another -errno: the memory is then where it was.
 */
int64_t remap__by_hand(uint64_t address, uint64_t bytes, uint64_t new_bytes, int flags,
		       uint64_t to);

#endif
