/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See sharers.h. Source: kcmp(2); proc(5), /proc/PID/task/TID/children.
 */
#include "target/sharers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/parse.h"
#include "base/procfs.h"

/* tid: a thread that has not ended. No memory is the same memory as none. */
static bool has_memory_of(pid_t process, pid_t tid)
{
	return syscall(SYS_kcmp, tid, process, KCMP_VM, 0, 0) == 0;
}

int sharers__look_around(pid_t pid, struct sharers *sharers)
{
	struct sharers found = {0};
	struct dirent *entry;
	uint64_t number;
	DIR *folder;
	int err;

	folder = opendir("/proc");
	if (!folder)
		return -errno;
	for (;;) {
		pid_t *grown;

		errno = 0;
		entry = readdir(folder);
		if (!entry)
			break;
		if (parse__u64(entry->d_name, 1, INT32_MAX, &number) || (pid_t)number == pid ||
		    !has_memory_of((pid_t)number, pid))
			continue;
		grown = reallocarray(found.pids, found.count + 1, sizeof(*grown));
		if (!grown)
			break;
		found.pids = grown;
		found.pids[found.count++] = (pid_t)number;
	}
	err = -errno;
	(void)closedir(folder);
	if (err) {
		sharers__clear(&found);
		return err;
	}
	sharers__clear(sharers);
	*sharers = found;
	return 0;
}

/* The kernel writes a blank behind each number. */
static pid_t find_child(pid_t pid, pid_t tid)
{
	char name[40], text[4096];
	pid_t child = 0, found = 0;
	ssize_t length;
	int fd;

	(void)snprintf(name, sizeof(name), "task/%d/children", tid);
	fd = procfs__open(pid, name, O_RDONLY);
	if (fd < 0)
		return 0;
	while (!found && (length = read(fd, text, sizeof(text))) > 0) {
		for (ssize_t i = 0; i < length && !found; i++) {
			if (text[i] >= '0' && text[i] <= '9') {
				child = child * 10 + (text[i] - '0');
				continue;
			}
			if (child && has_memory_of(child, tid))
				found = child;
			child = 0;
		}
	}
	(void)close(fd);
	return found;
}

pid_t sharers__find(const struct sharers *sharers, pid_t pid, const struct threads *threads)
{
	pid_t found = 0;

	for (size_t i = 0; i < sharers->count && threads->count; i++)
		if (has_memory_of(sharers->pids[i], threads->items[0].tid))
			return sharers->pids[i];
	for (size_t i = 0; i < threads->count && !found; i++)
		found = find_child(pid, threads->items[i].tid);
	return found;
}

void sharers__clear(struct sharers *sharers)
{
	free(sharers->pids);
	*sharers = (struct sharers){0};
}
