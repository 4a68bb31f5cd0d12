/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See write_protect.h. Source: userfaultfd(2); Documentation/admin-guide/mm/userfaultfd.rst.
 */
#include "pages/write_protect.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/nocancel.h"

/* linux/userfaultfd.h of 6.7 */
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#define FEATURE_WP_UNPOPULATED (1ULL << 13)
#define FEATURE_WP_ASYNC       (1ULL << 15)

enum { UFFD_NUMBER = 700 }; /* out of the way of the program's own files */

int write_protect__open(void)
{
	struct uffdio_api api = {.api = UFFD_API,
				 .features = FEATURE_WP_ASYNC | FEATURE_WP_UNPOPULATED};
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
	int moved;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, UFFDIO_API, &api) < 0) {
		(void)nocancel__close(fd);
		return -EOPNOTSUPP;
	}
	moved = (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, UFFD_NUMBER);
	if (moved < 0)
		return fd; /* the limit of file numbers is lower */
	(void)nocancel__close(fd);
	return moved;
}

bool write_protect__is_open(int uffd)
{
	static const char expected[] = "anon_inode:[userfaultfd]";
	char path[32] = "/proc/self/fd/", text[sizeof(expected)], digits[12];
	size_t i = sizeof(digits), length = strlen(path);
	ssize_t n;

	if (uffd < 0)
		return false;
	digits[--i] = '\0';
	do {
		digits[--i] = (char)('0' + uffd % 10);
		uffd /= 10;
	} while (uffd);
	memcpy(path + length, digits + i, sizeof(digits) - i);
	n = readlink(path, text, sizeof(text));
	return n == (ssize_t)sizeof(expected) - 1 && memcmp(text, expected, (size_t)n) == 0;
}

int write_protect__register(int uffd, uint64_t start, uint64_t end)
{
	struct uffdio_register range = {.range = {.start = start, .len = end - start},
					.mode = UFFDIO_REGISTER_MODE_WP};

	return ioctl(uffd, UFFDIO_REGISTER, &range) < 0 ? -errno : 0;
}
