/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See write_protect.h. Source: userfaultfd(2); Documentation/admin-guide/mm/userfaultfd.rst.
 */
#include "pages/write_protect.h"

#include <errno.h>
#include <linux/ioctl.h>
#include <sys/stat.h>

#include "base/high_number.h"
#include "base/raw_syscall.h"

/* linux/userfaultfd.h of 6.7 */
#define FEATURE_WP_UNPOPULATED (1ULL << 13)
#define FEATURE_WP_ASYNC       (1ULL << 15)

static long control(int uffd, unsigned long request, void *argument)
{
	return raw_syscall__call(SYS_ioctl, (uint64_t)uffd, request, (uintptr_t)argument, 0);
}

/* Returns 0 or -errno. */
static long stat_of(int uffd, struct stat *st)
{
	return raw_syscall__call(SYS_fstat, (uint64_t)uffd, (uintptr_t)st, 0, 0);
}

int write_protect__prepare(int uffd, uint64_t *ret_inode)
{
	struct uffdio_api api = {.api = UFFD_API,
				 .features = FEATURE_WP_ASYNC | FEATURE_WP_UNPOPULATED};
	struct stat st = {0};

	if (control(uffd, UFFDIO_API, &api) < 0)
		return -EOPNOTSUPP;
	*ret_inode = stat_of(uffd, &st) == 0 ? st.st_ino : 0;
	return 0;
}

int write_protect__open(uint64_t *ret_inode)
{
	int fd = (int)raw_syscall__call(SYS_userfaultfd, WRITE_PROTECT_FLAGS, 0, 0, 0);
	int err;

	if (fd < 0)
		return fd;
	err = write_protect__prepare(fd, ret_inode);
	if (!err)
		return high_number__move(fd);
	(void)raw_syscall__call(SYS_close, (uint64_t)fd, 0, 0, 0);
	return err;
}

bool write_protect__is_open(int uffd, uint64_t inode)
{
	struct stat st = {0};

	/* It is of none of the kinds of S_IFMT. */
	return uffd >= 0 && inode && stat_of(uffd, &st) == 0 && st.st_ino == inode &&
	       (st.st_mode & S_IFMT) == 0;
}

int write_protect__register(int uffd, uint64_t start, uint64_t end)
{
	struct uffdio_register range = {.range = {.start = start, .len = end - start},
					.mode = UFFDIO_REGISTER_MODE_WP};

	return (int)control(uffd, UFFDIO_REGISTER, &range);
}

int write_protect__release(int uffd, uint64_t start, uint64_t end)
{
	struct uffdio_writeprotect argument = {.range = {.start = start, .len = end - start}};

	return (int)control(uffd, UFFDIO_WRITEPROTECT, &argument);
}
