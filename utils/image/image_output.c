/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See image_output.h.
 */
#include "image/image_output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h> /* rename(2) alone */
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/nocancel.h"
#include "image/image_reason.h"

const char *image_failure__reason(const struct image_failure *failure, int err)
{
	return failure->reason ? failure->reason : image_reason__text(err);
}

/* ---- bytes ---- */

/* Writes all of it at an offset, whatever signals and short writes there are. */
static int write_at(int fd, const void *bytes, size_t count, uint64_t offset)
{
	const unsigned char *from = bytes;

	while (count > 0) {
		ssize_t n = nocancel__write_at(fd, from, count, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		from += n;
		offset += (uint64_t)n;
		count -= (size_t)n;
	}
	return 0;
}

/* The compressed file grows at its end; its length is stream.total_out. */
static int deflate_some(struct image_output *o, const void *bytes, size_t count, int flush)
{
	z_stream *z = &o->stream;
	int result;

	z->next_in = (unsigned char *)bytes;
	z->avail_in = (unsigned int)count;
	do {
		uint64_t offset = z->total_out;
		int err;

		z->next_out = o->packed;
		z->avail_out = sizeof(o->packed);
		result = deflate(z, flush);
		if (result == Z_STREAM_ERROR)
			return -EIO;
		err = write_at(o->fd, o->packed, sizeof(o->packed) - z->avail_out, offset);
		if (err)
			return err;
	} while (z->avail_out == 0);
	return 0;
}

int image_output__put(struct image_output *o, const void *bytes, size_t count)
{
	int err;

	o->failure->step = "cannot write";
	if (o->compressed)
		err = deflate_some(o, bytes, count, Z_NO_FLUSH);
	else
		err = write_at(o->fd, bytes, count, o->offset);
	o->offset += count;
	return err;
}

int image_output__zeros(struct image_output *o, uint64_t count)
{
	static const unsigned char zeros[1 << 12];
	int err = 0;

	if (!o->compressed) {
		o->offset += count;
		return 0;
	}
	while (count > 0 && !err) {
		size_t part = count < sizeof(zeros) ? (size_t)count : sizeof(zeros);

		err = image_output__put(o, zeros, part);
		count -= part;
	}
	return err;
}

/* ---- compression ---- */

/* zlib's memory is a part of the output. */
static void *allocate(void *opaque, unsigned int items, unsigned int size)
{
	struct image_output *o = opaque;
	size_t bytes = ((size_t)items * size + 63) / 64 * 64;

	if (bytes > sizeof(o->zlib) - o->zlib_bytes)
		return NULL;
	o->zlib_bytes += bytes;
	return o->zlib + o->zlib_bytes - bytes;
}

static void release(void *opaque, void *address)
{
	(void)opaque;
	(void)address;
}

static int start_compression(struct image_output *o)
{
	enum { GZIP = 16, LEVEL = 1, MEMORY = 8 };

	o->failure->step = "cannot start zlib for";
	o->stream.zalloc = allocate;
	o->stream.zfree = release;
	o->stream.opaque = o;
	if (deflateInit2(&o->stream, LEVEL, Z_DEFLATED, MAX_WBITS + GZIP, MEMORY,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	o->compressed = true;
	return 0;
}

/* ---- names ---- */

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), end_length = strlen(end);

	return length > end_length && strcmp(text + length - end_length, end) == 0;
}

/* rename(2) would replace anything: a pipe, a link, a file that nobody may write. Nobody expects
 * that. */
static int check_target(struct image_output *o)
{
	struct stat st;

	if (lstat(o->path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISREG(st.st_mode)) {
		o->failure->reason = "it is there and is no plain file";
		return -EEXIST;
	}
	if (!(st.st_mode & 0222) || faccessat(AT_FDCWD, o->path, W_OK, AT_EACCESS) < 0) {
		o->failure->reason = "it is there and is read-only";
		return -EACCES;
	}
	return 0;
}

/* path + ".XXXXXXXXXXXXXXXX", random. */
static int name_temporary(struct image_output *o)
{
	static const char digits[] = "0123456789abcdef";
	size_t length = strlen(o->path);
	unsigned char random[8];

	if (length + 2 * sizeof(random) + 2 > sizeof(o->temporary))
		return -ENAMETOOLONG;
	if (nocancel__random(random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
		return -EAGAIN;
	memcpy(o->temporary, o->path, length);
	o->temporary[length++] = '.';
	for (size_t i = 0; i < sizeof(random); i++) {
		o->temporary[length++] = digits[random[i] >> 4];
		o->temporary[length++] = digits[random[i] & 15];
	}
	o->temporary[length] = '\0';
	return 0;
}

int image_output__open(struct image_output *o, const char *path, struct image_failure *failure)
{
	size_t length = strlen(path);
	int err;

	memset(o, 0, offsetof(struct image_output, path));
	o->path[0] = '\0';
	o->temporary[0] = '\0';
	o->fd = -1;
	o->failure = failure;
	*failure = (struct image_failure){.step = "cannot write"};
	if (length == 0)
		return -ENOENT;
	if (length >= sizeof(o->path))
		return -ENAMETOOLONG;
	memcpy(o->path, path, length + 1);
	err = check_target(o);
	if (!err)
		err = name_temporary(o);
	if (err)
		return err;
	failure->step = "cannot create";
	o->fd = nocancel__open(o->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			       0600);
	if (o->fd < 0)
		return -errno;
	err = ends_with(o->path, ".gz") ? start_compression(o) : 0;
	if (err)
		image_output__abort(o);
	return err;
}

/* ---- the end ---- */

/* The new name is on the disk when its folder is. */
static int sync_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t length = slash ? (size_t)(slash - path) : 0;
	char folder[PATH_MAX] = ".";
	int fd, err = 0;

	if (slash == path)
		folder[0] = '/';
	else
		memcpy(folder, path, length);
	fd = nocancel__open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (nocancel__fsync(fd) < 0 && errno != EINVAL) /* a file system that cannot do it */
		err = -errno;
	(void)nocancel__close(fd);
	return err;
}

static int close_file(struct image_output *o)
{
	int err = 0;

	o->failure->step = "cannot write";
	if (nocancel__fsync(o->fd) < 0)
		err = -errno;
	if (nocancel__close(o->fd) < 0 && !err && errno != EINTR)
		err = -errno;
	o->fd = -1;
	return err;
}

static int finish(struct image_output *o)
{
	int err = 0;

	o->failure->step = "cannot write";
	if (o->compressed)
		err = deflate_some(o, NULL, 0, Z_FINISH);
	if (err)
		return err;
	err = close_file(o);
	if (err)
		return err;
	o->failure->step = "cannot replace";
	err = check_target(o); /* again: something else may be there by now */
	if (err)
		return err;
	return rename(o->temporary, o->path) < 0 ? -errno : 0;
}

int image_output__commit(struct image_output *o)
{
	int err = finish(o);

	if (err) {
		image_output__abort(o);
		return err;
	}
	o->temporary[0] = '\0';
	o->failure->step = "cannot sync the folder of";
	return sync_folder(o->path);
}

void image_output__abort(struct image_output *o)
{
	if (o->fd >= 0)
		(void)nocancel__close(o->fd);
	o->fd = -1;
	if (o->temporary[0])
		(void)unlink(o->temporary);
	o->temporary[0] = '\0';
}
