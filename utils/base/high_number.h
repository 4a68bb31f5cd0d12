/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Numbers for the files that a library opens inside a program: out of the way of the program's own
 * ones. System calls alone, without errno.
 */
#ifndef BASE_HIGH_NUMBER_H
#define BASE_HIGH_NUMBER_H

#include <fcntl.h>
#include <stdint.h>
#include <sys/resource.h>

#include "base/raw_syscall.h"

enum { HIGH_NUMBER = 700, HIGH_NUMBER_FROM_LIMIT = 8 };

/* The number that is asked for, or the next free one. It is high, but far below the limit, for the
 * kernel's table is as long as the highest number. */
static inline int high_number__find(void)
{
	struct rlimit limit = {0};

	if (raw_syscall__call(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, (uintptr_t)&limit) == 0 &&
	    limit.rlim_cur < HIGH_NUMBER + HIGH_NUMBER_FROM_LIMIT &&
	    limit.rlim_cur > HIGH_NUMBER_FROM_LIMIT)
		return (int)limit.rlim_cur - HIGH_NUMBER_FROM_LIMIT;
	return HIGH_NUMBER;
}

/* Gives fd a high number, which is closed by execve(2). Returns that; or fd if there is none. */
static inline int high_number__move(int fd)
{
	int moved = (int)raw_syscall__call(SYS_fcntl, (uint64_t)fd, F_DUPFD_CLOEXEC,
					   (uint64_t)high_number__find(), 0);

	if (moved < 0)
		return fd;
	(void)raw_syscall__call(SYS_close, (uint64_t)fd, 0, 0, 0);
	return moved;
}

#endif
