/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See file_kind.h. All that is known is the mode, and what /proc/PID/fd said: a path; or
 * "pipe:[23]", "anon_inode:[eventfd]", "net:[4026531840]" where there is none.
 */
#include "reopen/file_kind.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char deleted[] = " (deleted)";

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* The file system of "(unreachable)/name" has been unmounted. */
static bool has_path(const char *path)
{
	return path[0] == '/' || begins(path, "(unreachable)");
}

bool file_kind__is_deleted(const char *path)
{
	size_t length = strlen(path);

	return length > sizeof(deleted) - 1 &&
	       strcmp(path + length - (sizeof(deleted) - 1), deleted) == 0 &&
	       access(path, F_OK) < 0;
}

/* Devices without a state. */
static bool is_memory_device(const char *path)
{
	static const char *const names[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random",
					    "/dev/urandom"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(path, names[i]) == 0)
			return true;
	}
	return false;
}

/* Is it a namespace that we are in? Writes its path to buffer. path: "net:[4026531840]". */
static bool is_own_namespace(const char *path, char buffer[PATH_MAX])
{
	char own[64];
	ssize_t length;

	(void)snprintf(buffer, PATH_MAX, "/proc/self/ns/%.*s", (int)strcspn(path, ":"), path);
	length = readlink(buffer, own, sizeof(own) - 1);
	if (length <= 0)
		return false;
	own[length] = '\0';
	return strcmp(own, path) == 0;
}

/* What follows "/proc/PID" in the path of a file of a process, and which process it is; or NULL. */
static const char *in_proc(const char *path, int *ret_pid)
{
	static const char proc[] = "/proc/";
	char *rest;
	long pid;

	if (!begins(path, proc) || path[sizeof(proc) - 1] < '0' || path[sizeof(proc) - 1] > '9')
		return NULL;
	pid = strtol(path + sizeof(proc) - 1, &rest, 10);
	if (pid > INT_MAX || (*rest != '/' && *rest != '\0'))
		return NULL;
	*ret_pid = (int)pid;
	return rest;
}

enum file_reopening file_kind__reopening(const struct image *image, const struct image_file *file)
{
	const char *path = image__string(image, file->path);
	char buffer[PATH_MAX];
	int pid;

	if ((file->flags & O_PATH) && path[0] == '/' && !file_kind__is_deleted(path) &&
	    !in_proc(path, &pid))
		return S_ISREG(file->mode) || S_ISDIR(file->mode) ? REOPEN_ALWAYS : REOPEN_IF_THERE;
	if (!has_path(path))
		return is_own_namespace(path, buffer) ? REOPEN_IF_CLOSED : REOPEN_NEVER;
	if (S_ISCHR(file->mode))
		return is_memory_device(path) ? REOPEN_IF_CLOSED : REOPEN_NEVER;
	if ((!S_ISREG(file->mode) && !S_ISDIR(file->mode)) || file_kind__is_deleted(path))
		return REOPEN_NEVER;
	return in_proc(path, &pid) ? REOPEN_IF_THERE : REOPEN_ALWAYS;
}

const char *file_kind__find_path(const struct image *image, const struct image_file *file,
				 char buffer[PATH_MAX])
{
	const char *path = image__string(image, file->path);
	int pid;
	const char *rest = in_proc(path, &pid);

	if (!has_path(path) && is_own_namespace(path, buffer))
		return buffer;
	if (!rest || pid != image->process.pid ||
	    (size_t)snprintf(buffer, PATH_MAX, "/proc/self%s", rest) >= PATH_MAX)
		return path;
	return buffer;
}

/* ---- names ---- */

/* By how the path begins; "" at the end begins all. */
static const struct {
	const char *begin, *one, *many;
} kinds[] = {
	{"pipe:", "a pipe", "pipes"},
	{"socket:", "a socket", "sockets"},
	{"anon_inode:[eventfd]", "an eventfd", "eventfds"},
	{"anon_inode:[eventpoll]", "an epoll instance", "epoll instances"},
	{"anon_inode:[timerfd]", "a timerfd", "timerfds"},
	{"anon_inode:[signalfd]", "a signalfd", "signalfds"},
	{"anon_inode:[userfaultfd]", "a userfaultfd", "userfaultfds"},
	{"anon_inode:[perf_event]", "a performance counter", "performance counters"},
	{"anon_inode:[pidfd]", "a pidfd", "pidfds"},
	{"pidfd:", "a pidfd", "pidfds"},
	{"anon_inode:inotify", "an inotify instance", "inotify instances"},
	{"anon_inode:[io_uring]", "an io_uring", "io_urings"},
	{"anon_inode:", "a file without a name", "files without names"},
	{"/memfd:", "a memfd", "memfds"},
	{"/dev/pts/", "a terminal", "terminals"},
	{"/dev/tty", "a terminal", "terminals"},
	{"", NULL, NULL},
};

/* With the path, for which the kind alone says too little. */
static void name_path(const struct image_file *file, const char *path, char buffer[FILE_KIND_BYTES])
{
	int pid;

	if (!has_path(path))
		(void)snprintf(buffer, FILE_KIND_BYTES, "the namespace %s", path);
	else if (in_proc(path, &pid))
		(void)snprintf(buffer, FILE_KIND_BYTES, "%s, which cannot be opened", path);
	else if (S_ISREG(file->mode) || S_ISDIR(file->mode))
		(void)snprintf(buffer, FILE_KIND_BYTES, "the deleted file %.*s",
			       (int)(strlen(path) -
				     (file_kind__is_deleted(path) ? sizeof(deleted) - 1 : 0)),
			       path);
	else if (S_ISLNK(file->mode))
		(void)snprintf(buffer, FILE_KIND_BYTES, "the link %s", path);
	else if (S_ISSOCK(file->mode))
		(void)snprintf(buffer, FILE_KIND_BYTES, "the socket %s", path);
	else if (S_ISFIFO(file->mode))
		(void)snprintf(buffer, FILE_KIND_BYTES, "the FIFO %s", path);
	else
		(void)snprintf(buffer, FILE_KIND_BYTES, "the device %s", path);
}

const char *file_kind__name(const struct image *image, const struct image_file *file, bool many,
			    char buffer[FILE_KIND_BYTES])
{
	const char *path = image__string(image, file->path);
	size_t i = 0;

	while (!begins(path, kinds[i].begin))
		i++;
	if (kinds[i].one)
		(void)snprintf(buffer, FILE_KIND_BYTES, "%s", many ? kinds[i].many : kinds[i].one);
	else
		name_path(file, path, buffer);
	return buffer;
}
