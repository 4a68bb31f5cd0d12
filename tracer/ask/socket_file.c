/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See socket_file.h.
 */
#include "ask/socket_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "target/reason.h"

#define RUN_FOLDER "/run"
#define FOLDER     "tracer"
#define ENDING     ".sock"

/* A tracer holds the lock for some microseconds. In another folder than that of the default paths,
 * any user who can read the folder may hold it. */
enum { LOCK_TRIES = 250, LOCK_PAUSE_MS = 20 };

int socket_file__default_folder(char *buffer, size_t size)
{
	const char *run = geteuid() ? getenv("XDG_RUNTIME_DIR") : RUN_FOLDER;

	if (!run || *run != '/')
		return -REASON_NO_RUN_FOLDER;
	return snprintf(buffer, size, "%s/" FOLDER, run) < (int)size ? 0 : -ENAMETOOLONG;
}

int socket_file__default_path(pid_t pid, char *buffer, size_t size)
{
	char folder[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	int err = socket_file__default_folder(folder, sizeof(folder));

	if (err)
		return err;
	return snprintf(buffer, size, "%s/%d" ENDING, folder, pid) < (int)size ? 0 : -ENAMETOOLONG;
}

/* The folder of a path, with a slash at its end. */
static void write_folder(const char *path, char *folder, size_t size)
{
	const char *slash = strrchr(path, '/');

	(void)snprintf(folder, size, "%.*s", slash ? (int)(slash - path) + 1 : 1,
		       slash ? path : ".");
}

/* Others must not be able to put a socket of theirs in it, nor to lock it. */
int socket_file__make_folder(const char *path)
{
	char folder[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	struct stat status;

	write_folder(path, folder, sizeof(folder));
	folder[strlen(folder) - 1] = '\0';
	if ((mkdir(folder, 0700) && errno != EEXIST) || lstat(folder, &status)) {
		int err = -errno;

		log__error("cannot make the folder %s for the control socket: %s; name another "
			   "place with --control-socket PATH",
			   folder, strerror(-err));
		return err;
	}
	if (S_ISDIR(status.st_mode) && status.st_uid == geteuid() && !(status.st_mode & 022) &&
	    !chmod(folder, geteuid() ? 0700 : 0711))
		return 0;
	log__error("%s is not a folder that only this user may write to; name another place for "
		   "the control socket with --control-socket PATH",
		   folder);
	return -EPERM;
}

/* Locks the folder of a path. Returns the descriptor that holds the lock; -REASON_FOLDER_LOCKED
 * after all tries; or -errno. */
static int lock_folder(const char *path, unsigned int tries)
{
	char folder[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	int fd;

	write_folder(path, folder, sizeof(folder));
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX | LOCK_NB)) {
		int err = -errno;

		if (err == -EWOULDBLOCK && --tries) {
			(void)poll(NULL, 0, LOCK_PAUSE_MS);
			continue;
		}
		close(fd);
		return err == -EWOULDBLOCK ? -REASON_FOLDER_LOCKED : err;
	}
	return fd;
}

/*
 * Is it the file of a socket that nobody has open? The caller holds the lock. Returns 0;
 * -EADDRINUSE if somebody has; -REASON_NO_SOCKET; or another -errno.
 * A datagram socket asks: the kernel then tells a dead socket from one of another type. A listener
 * does not notice.
 * Source: unix_find_bsd() in net/unix/af_unix.c.
 */
static int check_dead(const struct sockaddr_un *address)
{
	struct stat status;
	int fd, err;

	if (lstat(address->sun_path, &status))
		return -errno;
	if (!S_ISSOCK(status.st_mode))
		return -REASON_NO_SOCKET;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	err = connect(fd, (const struct sockaddr *)address, sizeof(*address)) ? -errno : 0;
	close(fd);
	if (err == -ECONNREFUSED)
		return 0;
	return err && err != -EPROTOTYPE ? err : -EADDRINUSE;
}

static int bind_at(int fd, const struct sockaddr_un *address)
{
	const mode_t mask = umask(0177);
	int err = bind(fd, (const struct sockaddr *)address, sizeof(*address)) ? -errno : 0;

	(void)umask(mask);
	return err;
}

int socket_file__bind(int fd, const struct sockaddr_un *address)
{
	int lock = lock_folder(address->sun_path, LOCK_TRIES), err;

	if (lock < 0)
		return lock;
	err = bind_at(fd, address);
	if (err != -EADDRINUSE)
		goto out;
	err = check_dead(address);
	if (err)
		goto out;
	err = unlink(address->sun_path) ? -errno : bind_at(fd, address);
out:
	close(lock);
	return err;
}

bool socket_file__remove_dead(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	bool is_removed;
	int lock;

	if (snprintf(address.sun_path, sizeof(address.sun_path), "%s", path) >=
	    (int)sizeof(address.sun_path))
		return false;
	lock = lock_folder(path, 1);
	if (lock < 0)
		return false;
	is_removed = !check_dead(&address) && !unlink(path);
	close(lock);
	return is_removed;
}

unsigned int socket_file__sweep(const char *folder)
{
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	unsigned int removed = 0;
	struct dirent *entry;
	DIR *dir = opendir(folder);

	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		const size_t digits = strspn(entry->d_name, "0123456789");

		if (!digits || strcmp(entry->d_name + digits, ENDING) != 0 ||
		    snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) >=
			    (int)sizeof(path))
			continue;
		removed += socket_file__remove_dead(path);
	}
	(void)closedir(dir);
	return removed;
}
