/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See high_files.h.
 */
#include "reopen/high_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"

enum { FIRST_FD = 64, OTHER_FDS = 23 };

int high_files__first(const struct image *image)
{
	int last = image->file_count ? image->files[image->file_count - 1].fd : 0;

	return last < FIRST_FD ? FIRST_FD : last + 1;
}

static int say_no_number(int first_fd, int err)
{
	const bool is_limit = err == EINVAL || err == EMFILE; /* of F_DUPFD */

	log__error("cannot use file numbers from %d on: %s", first_fd,
		   is_limit ? "raise the limit of open files (ulimit -n)" : strerror(err));
	return -err;
}

/* Each mapping of a file and each object can need a number. If the hard limit is too low, that is
 * said when a number is missing. */
static void raise_limit(const struct image_chain *chain, int first_fd)
{
	const rlim_t needed = (rlim_t)first_fd + chain->count + chain->images[0]->mapping_count +
			      chain->images[0]->object_count + OTHER_FDS;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= needed)
		return;
	limit.rlim_cur = needed < limit.rlim_max ? needed : limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

int high_files__move(struct image_chain *chain, int first_fd)
{
	raise_limit(chain, first_fd);
	for (size_t i = 0; i < chain->count; i++) {
		int fd = high_files__move_one(chain->images[i]->fd, first_fd);

		if (fd < 0)
			return say_no_number(first_fd, -fd);
		chain->images[i]->fd = fd;
	}
	return 0;
}

int high_files__keep_stderr(int first_fd, int *ret)
{
	const int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, first_fd);

	if (fd < 0 && errno != EBADF)
		return say_no_number(first_fd, errno);
	*ret = fd;
	return 0;
}

int high_files__move_one(int fd, int first_fd)
{
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, first_fd);

	if (moved < 0)
		return -errno;
	(void)close(fd);
	return moved;
}
