/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See file_sources.h. /proc/PID/map_files is for root alone, proc(5). The device of a file is not
 * compared: on overlayfs and btrfs, stat(2) tells another one than /proc/PID/maps.
 */
#include "attach/file_sources.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/maps_name.h"

/* Opens path if it is a plain file with the inode of the mapping. To open another kind of file may
 * wait. */
static int open_path(const char *path, const struct mapping *mapping, struct stat *ret_status)
{
	int fd;

	if (stat(path, ret_status) || !S_ISREG(ret_status->st_mode))
		return -ESTALE;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (!fstat(fd, ret_status) && ret_status->st_ino == mapping->inode &&
	    S_ISREG(ret_status->st_mode))
		return fd;
	(void)close(fd);
	return -ESTALE;
}

int file_sources__path(pid_t pid, const struct mapping *mapping,
		       char ret_path[FILE_SOURCES_PATH_BYTES])
{
	static const char root[] = "root";
	char name[sizeof(root) - 1 + PATH_MAX];

	memcpy(name, root, sizeof(root) - 1);
	if (!maps_name__decode(mapping->path, name + sizeof(root) - 1, PATH_MAX))
		return -ENAMETOOLONG;
	(void)procfs__path(pid, name, ret_path, FILE_SOURCES_PATH_BYTES);
	return 0;
}

int file_sources__open(struct file_sources *sources, pid_t pid, const struct mapping *mapping)
{
	char path[FILE_SOURCES_PATH_BYTES], link[PROCFS_MAP_FILE_BYTES];
	struct file_source *larger;
	struct stat status;
	int fd;

	if (file_sources__find(sources, mapping->dev_major, mapping->dev_minor, mapping->inode))
		return 0;
	fd = open_path(procfs__path(pid, procfs__map_file(mapping, link), path, sizeof(path)),
		       mapping, &status);
	if (fd < 0 && !file_sources__path(pid, mapping, path))
		fd = open_path(path, mapping, &status);
	if (fd < 0)
		return fd;
	larger = reallocarray(sources->items, sources->count + 1, sizeof(*larger));
	if (!larger) {
		(void)close(fd);
		return -ENOMEM;
	}
	sources->items = larger;
	larger[sources->count++] = (struct file_source){
		.inode = mapping->inode,
		.bytes = (uint64_t)status.st_size,
		.dev_major = mapping->dev_major,
		.dev_minor = mapping->dev_minor,
		.fd = fd,
	};
	return 0;
}

const struct file_source *file_sources__find(const struct file_sources *sources, uint32_t dev_major,
					     uint32_t dev_minor, uint64_t inode)
{
	for (size_t i = 0; i < sources->count; i++) {
		const struct file_source *source = &sources->items[i];

		if (source->inode == inode && source->dev_major == dev_major &&
		    source->dev_minor == dev_minor)
			return source;
	}
	return NULL;
}

int file_source__read(const struct file_source *source, uint64_t offset, void *buffer, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		const ssize_t n = pread(source->fd, (char *)buffer + done, bytes - done,
					(off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	memset((char *)buffer + done, 0, bytes - done);
	return 0;
}

void file_sources__clear(struct file_sources *sources)
{
	for (size_t i = 0; i < sources->count; i++)
		(void)close(sources->items[i].fd);
	free(sources->items);
	*sources = (struct file_sources){0};
}
