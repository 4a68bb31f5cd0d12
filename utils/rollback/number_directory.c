/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See number_directory.h. Source: getdents(2).
 */
#include "rollback/number_directory.h"

#include <stdio.h>

#include "base/raw_syscall.h"

struct entry {
	uint64_t inode;
	int64_t offset;
	uint16_t bytes;
	uint8_t type;
	char name[];
};

/* -1 for "." and "..". */
static int number_of(const char *name)
{
	int number = 0;

	if (*name == '.')
		return -1;
	while (*name >= '0' && *name <= '9')
		number = number * 10 + (*name++ - '0');
	return number;
}

int number_directory__each(int fd, struct rollback *r, int (*visit)(struct rollback *r, int number))
{
	char buffer[2048] __attribute__((aligned(8))) = {0};
	long n = raw_syscall__call(SYS_lseek, (uint64_t)fd, 0, SEEK_SET, 0);

	if (n < 0)
		return (int)n;
	while ((n = raw_syscall__call(SYS_getdents64, (uint64_t)fd, (uintptr_t)buffer,
				      sizeof(buffer), 0)) > 0) {
		for (long at = 0; at < n;) {
			const struct entry *entry = (const struct entry *)(buffer + at);
			const int number = number_of(entry->name);
			int err = number >= 0 ? visit(r, number) : 0;

			if (err)
				return err;
			at += entry->bytes;
		}
	}
	return (int)n;
}
