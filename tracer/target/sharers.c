/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See sharers.h. Source: kcmp(2); proc(5), /proc/PID/task/TID/children.
 */
#include "target/sharers.h"

#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/procfs.h"

static bool has_memory_of(pid_t child, pid_t pid)
{
	return syscall(SYS_kcmp, pid, child, KCMP_VM, 0, 0) == 0;
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
			if (child && has_memory_of(child, pid))
				found = child;
			child = 0;
		}
	}
	(void)close(fd);
	return found;
}

pid_t sharers__find(pid_t pid, const struct threads *threads)
{
	pid_t found = 0;

	for (size_t i = 0; i < threads->count && !found; i++)
		found = find_child(pid, threads->items[i].tid);
	return found;
}
