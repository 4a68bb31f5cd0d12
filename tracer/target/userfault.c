/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See userfault.h. /proc/PID/smaps is slow, so it is read only if a userfaultfd is open.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/procfs.h"
#include "target/reason.h"
#include "target/userfault.h"

int userfault__is_open(pid_t pid)
{
	int fd = procfs__open(pid, "fd", O_RDONLY | O_DIRECTORY), found = 0;
	struct dirent *entry;
	char target[32];
	DIR *folder;

	if (fd < 0)
		return fd;
	folder = fdopendir(fd);
	if (!folder) {
		close(fd);
		return -ENOMEM;
	}
	while (!found && (entry = readdir(folder))) {
		ssize_t length = readlinkat(fd, entry->d_name, target, sizeof(target) - 1);

		if (length < 0)
			continue; /* ".", "..", or closed meanwhile */
		target[length] = '\0';
		found = !strcmp(target, "anon_inode:[userfaultfd]");
	}
	closedir(folder);
	return found;
}

/* In the line "VmFlags: rd wr ...", um, uw and ui tell the kinds of fault that are registered. */
static bool is_registered(const char *line)
{
	return !strncmp(line, "VmFlags:", 8) &&
	       (strstr(line, " um") || strstr(line, " uw") || strstr(line, " ui"));
}

/* Reads the first line of a mapping, that of /proc/PID/maps. Other lines change nothing, although
 * "Anonymous:" begins with a hexadecimal digit. */
static void read_range(const char *line, struct interval *mapping)
{
	struct interval range;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &range.start, &range.end) == 2)
		*mapping = range;
}

static bool overlaps(const struct intervals *ranges, const struct interval *mapping)
{
	for (size_t i = 0; i < ranges->count; i++)
		if (ranges->items[i].start < mapping->end && ranges->items[i].end > mapping->start)
			return true;
	return false;
}

int userfault__check(pid_t pid, const struct intervals *ranges)
{
	struct interval mapping = {0, 0};
	size_t room = 0;
	int found = userfault__is_open(pid), fd;
	char *line = NULL;
	FILE *file;

	if (found <= 0)
		return found;
	fd = procfs__open(pid, "smaps", O_RDONLY);
	if (fd < 0)
		return fd;
	file = fdopen(fd, "r");
	if (!file) {
		close(fd);
		return -ENOMEM;
	}
	found = 0;
	while (!found && getline(&line, &room, file) > 0) {
		read_range(line, &mapping);
		found = is_registered(line) && overlaps(ranges, &mapping);
	}
	free(line);
	fclose(file);
	return found ? -REASON_USERFAULT : 0;
}
