/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See outputs.h. Source: fcntl(2), F_SETLEASE: the kernel gives a lease for reading only while
 * nobody has the file open for writing.
 */
#include "reopen/outputs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

enum { BUFFER_BYTES = 1 << 16 };

bool outputs__is_one(const struct image *image, size_t i)
{
	const struct image_file *file = &image->files[i];

	return S_ISREG(file->mode) && (file->flags & O_ACCMODE) == O_WRONLY &&
	       !(file->flags & O_APPEND) && image->sizes && file->offset > 0 &&
	       file->offset == image->sizes[i];
}

/* Of file systems without leases, and of files of others, nobody knows. */
static bool has_writer(int fd)
{
	const bool has = fcntl(fd, F_SETLEASE, F_RDLCK) < 0 && errno == EAGAIN;

	(void)fcntl(fd, F_SETLEASE, F_UNLCK);
	return has;
}

/* Makes a file of the next free name. Returns its descriptor, or -errno. */
static int make_file(const char *path, const struct stat *st, char name[PATH_MAX])
{
	int fd;

	for (unsigned int number = 1;; number++) {
		if (snprintf(name, PATH_MAX, "%s.cut.%u", path, number) >= PATH_MAX)
			return -ENAMETOOLONG;
		fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd >= 0)
			break;
		if (errno != EEXIST)
			return -errno;
	}
	/* Of its owner and with its permissions, as far as we may. */
	if (fchown(fd, st->st_uid, st->st_gid) == 0 || st->st_uid == geteuid())
		(void)fchmod(fd, st->st_mode & 0666);
	return fd;
}

static int write_all(int fd, const char *bytes, size_t count)
{
	while (count > 0) {
		ssize_t n = write(fd, bytes, count);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			bytes += n;
			count -= (size_t)n;
		}
	}
	return 0;
}

static int copy(int from, uint64_t offset, int to)
{
	static char buffer[BUFFER_BYTES];
	ssize_t n;
	int err;

	while ((n = pread(from, buffer, sizeof(buffer), (off_t)offset)) > 0) {
		err = write_all(to, buffer, (size_t)n);
		if (err)
			return err;
		offset += (uint64_t)n;
	}
	if (n < 0)
		return -errno;
	return fsync(to) < 0 ? -errno : 0; /* a full disk may say so only now */
}

static int keep(int fd, const struct stat *st, const char *path, uint64_t offset,
		char name[PATH_MAX])
{
	const int to = make_file(path, st, name);
	int err;

	if (to < 0)
		return to;
	err = copy(fd, offset, to);
	(void)close(to);
	if (err)
		(void)unlink(name);
	return err;
}

bool outputs__keep_rest(const struct image *image, size_t i)
{
	const struct image_file *file = &image->files[i];
	const char *path = image__string(image, file->path), *reason = NULL;
	const int fd = open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	uint64_t bytes = 0;
	char name[PATH_MAX];
	struct stat st = {0};
	int err;

	if (fd < 0 || fstat(fd, &st) < 0)
		reason = strerror(errno);
	else if ((uint64_t)st.st_size <= file->offset)
		goto out;
	else if (has_writer(fd))
		reason = "somebody else has it open for writing";
	else if ((err = keep(fd, &st, path, file->offset, name)))
		reason = strerror(-err);
	if (reason) {
		log__warn("%s has grown since the image. What came after byte %" PRIu64
			  " is not cut off (%s), and the process writes over it; file %d",
			  path, file->offset, reason, file->fd);
		goto out;
	}
	bytes = (uint64_t)st.st_size - file->offset;
	/* Nearly every restart does this, and nothing is lost: scripts get no line. */
	(isatty(STDERR_FILENO) ? log__info : log__debug)(
		"%s has grown since the image. Its last %" PRIu64
		" bytes are cut off, for the process writes them anew, and are kept in %s; file %d",
		path, bytes, name, file->fd);
out:
	if (fd >= 0)
		(void)close(fd);
	return bytes > 0;
}
