/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Counts the open files of a process, for tests that nothing stays open.
 */
#ifndef TESTCASE_OPEN_FILES_H
#define TESTCASE_OPEN_FILES_H

#include <dirent.h>
#include <stdio.h>
#include <sys/types.h>

/* Entries of /proc/PID/fd, with "." and "..". 0 if there is no such process. */
static inline unsigned int open_files__count(pid_t pid)
{
	unsigned int count = 0;
	char path[64];
	DIR *folder;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	folder = opendir(path);
	while (folder && readdir(folder))
		count++;
	if (folder)
		(void)closedir(folder);
	return count;
}

#endif
