/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A pipe that nobody writes to tells the helper when the caller has closed everything, or has
 * died.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "kernel/detach.h"
#include "kernel/kernel_check.h"

enum { NAP_NS = 5000000 };
#define PATIENCE_NS 10000000000ULL

/* Each helper holds a lock on one of these: so many may run at the same time. All tracers of a
 * machine see the folders of tracefs, whatever their mounts are. */
static const char *const lock_folders[] = {TRACEFS, TRACEFS "/events", TRACEFS "/instances",
					   TRACEFS "/options", TRACEFS "/per_cpu"};

/* Returns the file descriptor that holds the lock; -EWOULDBLOCK: all are taken; or -errno. */
static int try_lock(void)
{
	int err = -ENOENT;

	for (size_t i = 0; i < sizeof(lock_folders) / sizeof(*lock_folders); i++) {
		int fd = open(lock_folders[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd < 0)
			continue;
		if (!flock(fd, LOCK_EX | LOCK_NB))
			return fd;
		err = errno == EINTR ? -EWOULDBLOCK : -errno;
		close(fd);
	}
	return err;
}

/* Waits for a helper of an earlier tracer, but not for ever: it may have been stopped. */
static int lock(void)
{
	const struct timespec nap = {.tv_nsec = NAP_NS};
	uint64_t deadline_ns = clock__now_ns() + PATIENCE_NS;
	int fd;

	while ((fd = try_lock()) == -EWOULDBLOCK) {
		if (clock__now_ns() > deadline_ns)
			return -ETIMEDOUT;
		(void)nanosleep(&nap, NULL);
	}
	return fd;
}

/* Closes the files that the caller has inherited: those that are not close-on-exec. Otherwise a
 * terminal or a pipe would stay open as long as the helper runs. */
static bool close_inherited(void)
{
	DIR *folder = opendir("/proc/self/fd");
	struct dirent *entry;

	if (!folder)
		return false;
	while ((entry = readdir(folder))) {
		int fd = atoi(entry->d_name), flags = fcntl(fd, F_GETFD);

		if (*entry->d_name != '.' && flags >= 0 && !(flags & FD_CLOEXEC))
			close(fd);
	}
	closedir(folder);
	return true;
}

/* The helper, until the caller has closed everything. */
static void wait_for_caller(int fd)
{
	char byte;

	(void)prctl(PR_SET_NAME, "tracer-detach");
	(void)setsid();
	if (!close_inherited() || chdir("/"))
		_exit(1); /* the caller then closes the last copies itself */
	while (read(fd, &byte, 1) < 0 && errno == EINTR)
		;
}

bool detach__begin(struct detach *ret_detach)
{
	struct detach detach = {.lock_fd = -1, .parent_fd = -1};
	int ends[2], err;
	pid_t pid;

	detach.lock_fd = lock();
	err = detach.lock_fd < 0 ? detach.lock_fd : 0;
	if (err)
		goto out;
	err = pipe2(ends, O_CLOEXEC) ? -errno : 0;
	if (err)
		goto out;
	pid = fork();
	err = pid < 0 ? -errno : 0;
	if (!pid) {
		close(ends[1]);
		wait_for_caller(ends[0]);
		return true;
	}
	close(ends[0]);
	detach.parent_fd = ends[1];
out:
	if (err)
		log__debug("no helper closes the hooks (%s), so the tracer waits for the kernel",
			   strerror(-err));
	*ret_detach = detach;
	return false;
}

void detach__exit(void)
{
	_exit(0);
}

void detach__end(struct detach *detach)
{
	if (detach->lock_fd >= 0)
		close(detach->lock_fd);
	if (detach->parent_fd >= 0)
		close(detach->parent_fd);
}
