/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reading /proc/PID, see procfs.h. A process may die or exec between any two system calls here.
 * Every function then returns -ESRCH, or a complete answer about one address space. Source:
 * proc(5), fs/proc/task_mmu.c, Documentation/filesystems/proc.rst.
 */
#include "base/procfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/parse.h"
#include "base/procfs_internal.h"
#include "base/procfs_reason.h"

enum {
	PATH_BYTES = 64,      /* of "/proc/PID/task/TID/name" */
	READ_BYTES = 1 << 16, /* the first buffer for a file */
};

/* What a failed system call on a file below /proc/PID means. */
static int proc_error(int err)
{
	if (err == ESRCH)
		return -ESRCH;
	/* No such file: no such process, if there is a /proc at all. */
	if (err == ENOENT && access("/proc/self", F_OK) == 0)
		return -ESRCH;
	return err > 0 ? -err : -EIO;
}

const char *procfs__path(pid_t pid, const char *name, char *ret_path, size_t size)
{
	if (pid == 0)
		(void)snprintf(ret_path, size, "/proc/self/%s", name);
	else
		(void)snprintf(ret_path, size, "/proc/%d/%s", (int)pid, name);
	return ret_path;
}

int procfs__open(pid_t pid, const char *name, int flags)
{
	char path[PATH_BYTES];
	int fd = open(procfs__path(pid, name, path, sizeof(path)), O_CLOEXEC | flags);

	return fd < 0 ? proc_error(errno) : fd;
}

ssize_t procfs__readlink(pid_t pid, const char *name, char *ret_text, size_t size)
{
	char path[PATH_BYTES];
	ssize_t length = readlink(procfs__path(pid, name, path, sizeof(path)), ret_text, size - 1);

	if (length < 0)
		return proc_error(errno);
	ret_text[length] = '\0';
	return length;
}

int procfs__stat(pid_t pid, const char *name, struct stat *ret_status)
{
	char path[PATH_BYTES];

	return stat(procfs__path(pid, name, path, sizeof(path)), ret_status) ? proc_error(errno)
									     : 0;
}

/* One pread(2), repeated after a signal. Returns its count, or -errno. */
static ssize_t read_at(int fd, void *buffer, size_t bytes, off_t offset)
{
	ssize_t n;

	do {
		n = pread(fd, buffer, bytes, offset);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? proc_error(errno) : n;
}

ssize_t procfs__read(pid_t pid, const char *name, void *bytes, size_t size)
{
	int fd = procfs__open(pid, name, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = read_at(fd, bytes, size, 0);
	(void)close(fd);
	return n;
}

ssize_t procfs__string(pid_t pid, const char *name, char *ret_text, size_t size)
{
	ssize_t length = procfs__read(pid, name, ret_text, size - 1);

	if (length >= 0)
		ret_text[length] = '\0';
	return length;
}

int procfs__read_text(int fd, char **ret_text)
{
	size_t length = 0, capacity = READ_BYTES;
	char *text = malloc(capacity), *larger;
	ssize_t n = 0;
	int err = -ENOMEM;

	if (!text)
		goto out;
	for (;;) {
		n = read_at(fd, text + length, capacity - length - 1, (off_t)length);
		if (n <= 0)
			break;
		length += (size_t)n;
		if (capacity - length > 1)
			continue;
		larger = realloc(text, 2 * capacity);
		if (!larger)
			goto out;
		text = larger;
		capacity *= 2;
	}
	err = (int)n;
	if (err)
		goto out;
	text[length] = '\0';
	*ret_text = text;
	text = NULL;
out:
	free(text);
	return err;
}

/* The whole of a file of a process. */
static int read_file(pid_t pid, const char *name, char **ret_text)
{
	int fd = procfs__open(pid, name, O_RDONLY), err;

	if (fd < 0)
		return fd;
	err = procfs__read_text(fd, ret_text);
	(void)close(fd);
	return err;
}

int procfs__take_number(const char **p, unsigned int base, uint64_t max, uint64_t *ret_value)
{
	const char *from = *p;
	uint64_t value = 0;

	for (;; ++*p) {
		char c = **p;
		unsigned int digit;

		if (c >= '0' && c <= '9')
			digit = (unsigned int)(c - '0');
		else if (base == 16 && c >= 'a' && c <= 'f')
			digit = (unsigned int)(c - 'a') + 10;
		else
			break;
		if (value > (max - digit) / base)
			return -PROCFS_MALFORMED;
		value = value * base + digit;
	}
	if (*p == from)
		return -PROCFS_MALFORMED;
	*ret_value = value;
	return 0;
}

/* "PID (NAME) STATE PPID ...": the name may hold anything, a parenthesis too. */
int procfs__fields(pid_t pid, const char *file, struct procfs_fields *ret)
{
	struct procfs_fields fields = {.name = ""};
	char text[2048], *name, *at;
	ssize_t length = procfs__string(pid, file, text, sizeof(text));

	if (length < 0)
		return (int)length;
	name = strchr(text, '(');
	at = strrchr(text, ')');
	if (!name || !at || at < name)
		return -PROCFS_MALFORMED;
	*at++ = '\0';
	(void)snprintf(fields.name, sizeof(fields.name), "%s", name + 1);
	for (int number = 3; number < PROCFS_FIELDS; number++) {
		if (*at != ' ')
			return -PROCFS_MALFORMED;
		at++;
		if (number == 3)
			fields.items[number] = (unsigned char)*at++;
		else
			fields.items[number] = strtoull(at, &at, 10);
	}
	*ret = fields;
	return 0;
}

static int add_tid(pid_t **tids, size_t *count, size_t *capacity, pid_t tid)
{
	if (*count == *capacity) {
		size_t larger = *capacity ? 2 * *capacity : 16;
		pid_t *grown = reallocarray(*tids, larger, sizeof(**tids));

		if (!grown)
			return -ENOMEM;
		*tids = grown;
		*capacity = larger;
	}
	(*tids)[(*count)++] = tid;
	return 0;
}

int procfs__threads(pid_t pid, pid_t **ret_tids, size_t *ret_count)
{
	size_t count = 0, capacity = 0;
	pid_t *tids = NULL;
	DIR *dir = NULL;
	int fd, err = 0;

	fd = procfs__open(pid, "task", O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fd;
	dir = fdopendir(fd);
	if (!dir) {
		err = -errno;
		goto out;
	}
	fd = -1; /* dir owns it now */
	for (;;) {
		struct dirent *entry;
		uint64_t tid;

		errno = 0;
		entry = readdir(dir);
		if (!entry)
			break;
		if (parse__u64(entry->d_name, 1, INT32_MAX, &tid) != 0)
			continue; /* "." and ".." */
		err = add_tid(&tids, &count, &capacity, (pid_t)tid);
		if (err)
			goto out;
	}
	if (errno)
		err = proc_error(errno);
	else if (count == 0)
		err = -ESRCH;
	if (err)
		goto out;
	*ret_tids = tids;
	*ret_count = count;
	tids = NULL;
out:
	free(tids);
	if (dir)
		(void)closedir(dir);
	if (fd >= 0)
		(void)close(fd);
	return err;
}

/* The text after "key:" and blanks at the start of a line, or NULL. */
static const char *find_key(const char *text, const char *key)
{
	size_t length = strlen(key);

	while (*text) {
		if (strncmp(text, key, length) == 0 && text[length] == ':') {
			text += length + 1;
			return text + strspn(text, " \t");
		}
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return NULL;
}

bool procfs__is_there(pid_t pid)
{
	return !kill(pid, 0) || errno != ESRCH;
}

int procfs__status_u64(pid_t pid, const char *key, uint64_t *ret_value)
{
	char *text = NULL;
	const char *p;
	uint64_t value;
	int err;

	err = read_file(pid, "status", &text);
	if (err)
		goto out;
	err = -ENOENT;
	p = find_key(text, key);
	if (!p)
		goto out;
	err = procfs__take_number(&p, 10, UINT64_MAX, &value);
	if (err)
		goto out;
	if (*p && !strchr(" \t\n", *p))
		err = -PROCFS_MALFORMED;
	else
		*ret_value = value;
out:
	free(text);
	return err;
}

uint64_t procfs__map_memory(int fd)
{
	unsigned long bytes = 0;
	char path[64], line[128];
	FILE *info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = fopen(path, "re");
	if (!info)
		return 0;
	while (fgets(line, sizeof(line), info))
		if (sscanf(line, "memlock: %lu", &bytes) == 1)
			break;
	fclose(info);
	return bytes;
}

uint64_t procfs__available_memory(void)
{
	unsigned long kib = UINT64_MAX / 1024;
	FILE *info = fopen("/proc/meminfo", "re");
	char line[128];

	if (!info)
		return kib * 1024;
	while (fgets(line, sizeof(line), info))
		if (sscanf(line, "MemAvailable: %lu kB", &kib) == 1)
			break;
	fclose(info);
	return kib * 1024;
}
