/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See descriptors.h.
 */
#include "forkserver/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

#include "base/high_number.h"
#include "base/raw_syscall.h"

static int keep(struct descriptors *descriptors, int number)
{
	int flags = fcntl(number, F_GETFD);
	int copy;

	if (descriptors->count == DESCRIPTORS_MAX)
		return -EMFILE;
	copy = fcntl(number, F_DUPFD_CLOEXEC, high_number__find());
	if (flags < 0 || copy < 0)
		return -errno;
	descriptors->all[descriptors->count].number = number;
	descriptors->all[descriptors->count].copy = copy;
	descriptors->all[descriptors->count].is_closed_on_exec = flags & FD_CLOEXEC;
	descriptors->count++;
	return 0;
}

int descriptors__keep(struct descriptors *descriptors)
{
	const int end = high_number__find();
	int err = 0;

	descriptors->count = 0;
	/* No folder of /proc is read: that takes memory from malloc(3), and what the target gets
	 * from there would not be what it gets in a child of fork(2). */
	for (int number = 0; !err && number < end; number++)
		if (fcntl(number, F_GETFD) >= 0)
			err = keep(descriptors, number);
	return err;
}

int descriptors__copy(const struct descriptors *descriptors, int number)
{
	for (unsigned int i = 0; i < descriptors->count; i++)
		if (descriptors->all[i].number == number)
			return descriptors->all[i].copy;
	return -1;
}

int descriptors__put_back(const struct descriptors *descriptors)
{
	for (unsigned int i = 0; i < descriptors->count; i++) {
		const int flags = descriptors->all[i].is_closed_on_exec ? O_CLOEXEC : 0;
		long result =
			raw_syscall__call(SYS_dup3, (uint64_t)descriptors->all[i].copy,
					  (uint64_t)descriptors->all[i].number, (uint64_t)flags, 0);

		if (result < 0)
			return (int)result;
	}
	return 0;
}
