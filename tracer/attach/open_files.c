/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See open_files.h.
 */
#include "attach/open_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/parse.h"
#include "base/procfs.h"

static int add(struct open_files *files, int folder, const char *number)
{
	char name[PATH_MAX];
	ssize_t length;
	uint64_t fd;
	struct open_file *larger;

	if (parse__u64(number, 0, INT_MAX, &fd))
		return 0; /* "." and ".." */
	length = readlinkat(folder, number, name, sizeof(name) - 1);
	if (length < 0)
		return errno == ENOENT ? 0 : -errno;
	name[length] = '\0';
	/* Room grows by powers of two. */
	if (!(files->count & (files->count - 1))) {
		larger = reallocarray(files->items, files->count ? 2 * files->count : 1,
				      sizeof(*larger));
		if (!larger)
			return -ENOMEM;
		files->items = larger;
	}
	files->items[files->count].fd = (int)fd;
	files->items[files->count].name = strdup(name);
	if (!files->items[files->count].name)
		return -ENOMEM;
	files->count++;
	return 0;
}

/* /proc lists the files in the order of their numbers. */
int open_files__read(pid_t pid, struct open_files *ret)
{
	struct open_files files = {0};
	int fd = procfs__open(pid, "fd", O_RDONLY | O_DIRECTORY), err = 0;
	struct dirent *entry;
	DIR *folder;

	if (fd < 0)
		return fd;
	folder = fdopendir(fd);
	if (!folder) {
		(void)close(fd);
		return -ENOMEM;
	}
	while (!err && (entry = readdir(folder)))
		err = add(&files, fd, entry->d_name);
	(void)closedir(folder);
	if (err) {
		open_files__clear(&files);
		return err;
	}
	*ret = files;
	return 0;
}

void open_files__clear(struct open_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		free(files->items[i].name);
	free(files->items);
	*files = (struct open_files){0};
}
