/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See file_sharing.h. Source: kcmp(2); fcntl(2), F_SETSIG.
 */
#include "process/file_sharing.h"

#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

/* May the signal of an open file be sent at any time? Another one in its place would end the
 * process. */
static bool sends_signals(int fd)
{
	const long flags = syscall(SYS_fcntl, fd, F_GETFL);
	const long lease = syscall(SYS_fcntl, fd, F_GETLEASE);

	return flags < 0 || (flags & O_ASYNC) || (lease >= 0 && lease != F_UNLCK);
}

/* For containers that forbid kcmp(2): if a signal that is set for one descriptor shows at the other
 * one, both share an open file. The signal is sent only with O_ASYNC and for leases: then nothing
 * is tried. */
static bool share_signal(int a, int b)
{
	enum { SIGNAL = 64 };
	const long was = syscall(SYS_fcntl, a, F_GETSIG), other = syscall(SYS_fcntl, b, F_GETSIG);
	const int now = other == SIGNAL ? SIGNAL - 1 : SIGNAL;
	bool is_one;

	if (was < 0 || was != other || sends_signals(a) || syscall(SYS_fcntl, a, F_SETSIG, now) < 0)
		return false;
	is_one = syscall(SYS_fcntl, b, F_GETSIG) == now;
	(void)syscall(SYS_fcntl, a, F_SETSIG, (int)was);
	return is_one;
}

static bool is_one(pid_t pid, int a, int b)
{
	const long order = syscall(SYS_kcmp, pid, pid, KCMP_FILE, a, b);

	return order < 0 && pid == getpid() ? share_signal(a, b) : order == 0;
}

int32_t file_sharing__find_twin(pid_t pid, const struct image *image, const struct image_file *file)
{
	for (size_t i = 0; i < image->file_count; i++) {
		const struct image_file *other = &image->files[i];

		if (other->inode == file->inode && other->offset == file->offset &&
		    other->dev_major == file->dev_major && other->dev_minor == file->dev_minor &&
		    is_one(pid, other->fd, file->fd))
			return other->fd;
	}
	return -1;
}

bool file_sharing__is_apart(pid_t first, pid_t tid)
{
	return syscall(SYS_kcmp, first, tid, KCMP_FS, 0, 0) > 0 ||
	       syscall(SYS_kcmp, first, tid, KCMP_FILES, 0, 0) > 0;
}
