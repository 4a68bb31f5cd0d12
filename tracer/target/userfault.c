/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Looks for memory that is registered with userfaultfd: first for an open file of that kind, which
 * is cheap and mostly not there, then in /proc/PID/smaps.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "target/userfault.h"

static int error_of(int number)
{
	return number == ENOENT ? -ESRCH : -number;
}

/* 1 or 0, or -errno. */
static int has_file(pid_t pid)
{
	char path[64], name[sizeof(path) + 256], target[32];
	struct dirent *entry;
	int found = 0;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	folder = opendir(path);
	if (!folder)
		return error_of(errno);
	while (!found && (entry = readdir(folder))) {
		ssize_t length;

		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		length = readlink(name, target, sizeof(target) - 1);
		if (length < 0)
			continue; /* ".", "..", or closed meanwhile */
		target[length] = '\0';
		found = !strcmp(target, "anon_inode:[userfaultfd]");
	}
	closedir(folder);
	return found;
}

/* Of the line "VmFlags: rd wr ...": um, uw, ui say for what kinds of fault it is registered. */
static bool is_registered(const char *line)
{
	return !strncmp(line, "VmFlags:", 8) &&
	       (strstr(line, " um") || strstr(line, " uw") || strstr(line, " ui"));
}

static bool overlaps(const struct intervals *ranges, const struct interval *mapping)
{
	for (size_t i = 0; i < ranges->count; i++)
		if (ranges->items[i].start < mapping->end && ranges->items[i].end > mapping->start)
			return true;
	return false;
}

int userfault__find(pid_t pid, const struct intervals *ranges, struct interval *ret)
{
	struct interval mapping = {0, 0};
	size_t room = 0;
	char path[64], *line = NULL;
	int found = has_file(pid);
	FILE *file;

	if (found <= 0)
		return found;
	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	file = fopen(path, "re");
	if (!file)
		return error_of(errno);
	found = 0;
	while (!found && getline(&line, &room, file) > 0) {
		/* the first line of a mapping, as in /proc/PID/maps; others do not look like it */
		(void)sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &mapping.start, &mapping.end);
		found = is_registered(line) && overlaps(ranges, &mapping);
	}
	free(line);
	fclose(file);
	if (found)
		*ret = mapping;
	return found;
}
