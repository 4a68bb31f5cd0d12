/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See open_files.h.
 */
#include "attach/open_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "base/parse.h"

enum {
	ROOM = 4096,
	MORE = ROOM - sizeof(struct dirent64), /* with more bytes, an entry may not have had room */
};

/* A file system that has to ask somebody may not answer while the process stands still: the kernel
 * says what it knows already, statx(2). */
static int find_inode(int folder, const char *number, struct open_file *file)
{
	struct statx status;

	if (statx(folder, number, AT_STATX_DONT_SYNC, STATX_INO, &status))
		return -errno;
	file->device = makedev(status.stx_dev_major, status.stx_dev_minor);
	file->inode = status.stx_ino;
	return 0;
}

/* Room grows by powers of two. */
static int add(struct open_files *files, const struct open_file *file)
{
	struct open_file *larger;

	if (!(files->count & (files->count - 1))) {
		larger = reallocarray(files->items, files->count ? 2 * files->count : 1,
				      sizeof(*larger));
		if (!larger)
			return -ENOMEM;
		files->items = larger;
	}
	files->items[files->count++] = *file;
	return 0;
}

static int read_one(struct open_files *files, int folder, const char *number)
{
	struct open_file file;
	uint64_t fd;
	int err;

	if (parse__u64(number, 0, INT_MAX, &fd))
		return 0; /* "." and ".." */
	file.fd = (int)fd;
	err = find_inode(folder, number, &file);
	if (err)
		return err == -ENOENT ? 0 : err;
	return add(files, &file);
}

/* /proc lists the files in the order of their numbers. */
int open_files__read(int folder, struct open_files *ret)
{
	_Alignas(struct dirent64) char entries[ROOM];
	struct open_files files = {0};
	ssize_t bytes;
	int err = 0;

	if (lseek(folder, 0, SEEK_SET))
		return -errno;
	do {
		bytes = getdents64(folder, entries, sizeof(entries));
		for (ssize_t at = 0; at < bytes && !err;) {
			const struct dirent64 *entry = (const void *)(entries + at);

			err = read_one(&files, folder, entry->d_name);
			at += entry->d_reclen;
		}
	} while (!err && bytes > MORE); /* else there was room for another one */
	if (!err && bytes < 0)
		err = errno == ENOENT ? -ESRCH : -errno;
	if (err) {
		open_files__clear(&files);
		return err;
	}
	*ret = files;
	return 0;
}

static bool has(const struct open_files *files, size_t *at, const struct open_file *file)
{
	while (*at < files->count && files->items[*at].fd < file->fd)
		++*at;
	return *at < files->count && files->items[*at].fd == file->fd &&
	       files->items[*at].device == file->device && files->items[*at].inode == file->inode;
}

int open_files__subtract(const struct open_files *a, const struct open_files *b,
			 struct open_files *ret)
{
	size_t at = 0;
	int err = 0;

	open_files__clear(ret);
	for (size_t i = 0; i < a->count && !err; i++)
		if (!has(b, &at, &a->items[i]))
			err = add(ret, &a->items[i]);
	if (err)
		open_files__clear(ret);
	return err;
}

void open_files__clear(struct open_files *files)
{
	free(files->items);
	*files = (struct open_files){0};
}
