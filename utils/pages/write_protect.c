/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See write_protect.h. Source: userfaultfd(2); Documentation/admin-guide/mm/userfaultfd.rst.
 */
#include "pages/write_protect.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/nocancel.h"

/* linux/userfaultfd.h of 6.7 */
#define FEATURE_WP_UNPOPULATED (1ULL << 13)
#define FEATURE_WP_ASYNC       (1ULL << 15)

enum {
	NUMBER = 700, /* out of the way of the program's own files */
	FROM_LIMIT = 8,
};

/* The number that is asked for, or the next free one: a high one, but far below the limit, for the
 * kernel's table is as long as the highest number. */
static int find_number(void)
{
	struct rlimit limit;

	if (syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit) == 0 &&
	    limit.rlim_cur < NUMBER + FROM_LIMIT && limit.rlim_cur > FROM_LIMIT)
		return (int)limit.rlim_cur - FROM_LIMIT;
	return NUMBER;
}

int write_protect__prepare(int uffd, uint64_t *ret_inode)
{
	struct uffdio_api api = {.api = UFFD_API,
				 .features = FEATURE_WP_ASYNC | FEATURE_WP_UNPOPULATED};
	struct stat st;

	if (ioctl(uffd, UFFDIO_API, &api) < 0)
		return -EOPNOTSUPP;
	*ret_inode = fstat(uffd, &st) == 0 ? st.st_ino : 0;
	return 0;
}

int write_protect__open(uint64_t *ret_inode)
{
	int fd = (int)syscall(SYS_userfaultfd, WRITE_PROTECT_FLAGS), moved, err;

	if (fd < 0)
		return -errno;
	err = write_protect__prepare(fd, ret_inode);
	if (err) {
		(void)nocancel__close(fd);
		return err;
	}
	moved = (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, find_number());
	if (moved < 0)
		return fd;
	(void)nocancel__close(fd);
	return moved;
}

bool write_protect__is_open(int uffd, uint64_t inode)
{
	struct stat st;

	/* It is of none of the kinds of S_IFMT. */
	return uffd >= 0 && inode && fstat(uffd, &st) == 0 && st.st_ino == inode &&
	       (st.st_mode & S_IFMT) == 0;
}

/* A page may bear the mark of an earlier registration that mremap(2) took away, and be writable all
 * the same (seen with Linux 6.18). It would look clean, so the marks are taken away. */
int write_protect__register(int uffd, uint64_t start, uint64_t end)
{
	struct uffdio_register range = {.range = {.start = start, .len = end - start},
					.mode = UFFDIO_REGISTER_MODE_WP};
	struct uffdio_writeprotect unprotect = {.range = range.range};

	if (ioctl(uffd, UFFDIO_REGISTER, &range) < 0)
		return -errno;
	return ioctl(uffd, UFFDIO_WRITEPROTECT, &unprotect) < 0 ? -errno : 0;
}

int write_protect__unregister(int uffd, uint64_t start, uint64_t end)
{
	struct uffdio_range range = {.start = start, .len = end - start};

	return ioctl(uffd, UFFDIO_UNREGISTER, &range) < 0 ? -errno : 0;
}
