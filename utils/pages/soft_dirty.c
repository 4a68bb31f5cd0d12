/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See soft_dirty.h.
 */
#include "pages/soft_dirty.h"

#include <fcntl.h>

#include "base/raw_syscall.h"

int soft_dirty__clear(int fd)
{
	long own = fd < 0 ? raw_syscall__call(SYS_openat, (uint64_t)AT_FDCWD,
					      (uintptr_t) "/proc/self/clear_refs",
					      O_WRONLY | O_CLOEXEC, 0)
			  : -1;
	long n;

	if (fd < 0 && own < 0)
		return (int)own;
	n = raw_syscall__call(SYS_write, (uint64_t)(fd < 0 ? own : fd), (uintptr_t) "4", 1, 0);
	if (own >= 0)
		(void)raw_syscall__call(SYS_close, (uint64_t)own, 0, 0, 0);
	return n < 0 ? (int)n : 0;
}
