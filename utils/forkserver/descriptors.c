/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See descriptors.h.
 */
#include "forkserver/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
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

	descriptors->listing = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (descriptors->listing < 0)
		return -errno;
	descriptors->listing = high_number__move(descriptors->listing);
	descriptors->count = 0;
	/* The folder is not read: that takes memory from malloc(3), and then the target would get
	 * other memory from there than in a child of fork(2). */
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

/* How many are open; 0 if this kernel does not say. */
static off_t count_open(const struct descriptors *descriptors)
{
	struct stat status = {0};

	if (raw_syscall__call(SYS_fstat, (uint64_t)descriptors->listing, (uint64_t)&status, 0, 0))
		return 0;
	return status.st_size;
}

void descriptors__know(struct descriptors *descriptors)
{
	memset(descriptors->known, 0, sizeof(descriptors->known));
	for (int number = 0; number < DESCRIPTORS_END; number++)
		if (fcntl(number, F_GETFD) >= 0)
			descriptors->known[number / 64] |= UINT64_C(1) << number % 64;
	descriptors->listed = count_open(descriptors);
}

static bool is_known(const struct descriptors *descriptors, unsigned int number)
{
	return number < DESCRIPTORS_END && descriptors->known[number / 64] & UINT64_C(1)
										     << number % 64;
}

static void close_others(const struct descriptors *descriptors)
{
	unsigned int first = 0;

	for (unsigned int number = 0; number <= DESCRIPTORS_END; number++) {
		const bool is_end = number == DESCRIPTORS_END;

		if (!is_end && !is_known(descriptors, number))
			continue;
		if (is_end || first < number)
			(void)raw_syscall__call(SYS_close_range, first,
						is_end ? UINT32_MAX : number - 1, 0, 0);
		first = number + 1;
	}
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
	if (!descriptors->listed || count_open(descriptors) != descriptors->listed)
		close_others(descriptors);
	return 0;
}
