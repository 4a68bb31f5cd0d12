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
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/page.h"
#include "base/parse.h"

enum {
	PATH_BYTES = 64,      /* of "/proc/PID/task/TID/name" */
	READ_BYTES = 1 << 16, /* the first buffer for a file */
	EXEC_TRIES = 23,      /* times that a process may exec while we read */
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

/* Writes the path of a file of a process, or of the caller for pid 0, and returns it. */
static const char *path_of(pid_t pid, const char *name, char path[PATH_BYTES])
{
	if (pid == 0)
		(void)snprintf(path, PATH_BYTES, "/proc/self/%s", name);
	else
		(void)snprintf(path, PATH_BYTES, "/proc/%d/%s", (int)pid, name);
	return path;
}

int procfs__open(pid_t pid, const char *name, int flags)
{
	char path[PATH_BYTES];
	int fd = open(path_of(pid, name, path), O_CLOEXEC | flags);

	return fd < 0 ? proc_error(errno) : fd;
}

ssize_t procfs__readlink(pid_t pid, const char *name, char *ret_text, size_t size)
{
	char path[PATH_BYTES];
	ssize_t length = readlink(path_of(pid, name, path), ret_text, size - 1);

	if (length < 0)
		return proc_error(errno);
	ret_text[length] = '\0';
	return length;
}

int procfs__stat(pid_t pid, const char *name, struct stat *ret_status)
{
	char path[PATH_BYTES];

	return stat(path_of(pid, name, path), ret_status) ? proc_error(errno) : 0;
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

/* The whole of a file as a NUL-terminated string, owned by the caller. */
static int read_text(int fd, char **ret_text)
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

/* The whole of a file of a process, as read_text. */
static int read_file(pid_t pid, const char *name, char **ret_text)
{
	int fd = procfs__open(pid, name, O_RDONLY), err;

	if (fd < 0)
		return fd;
	err = read_text(fd, ret_text);
	(void)close(fd);
	return err;
}

/* Moves *p over a number in base 10 or 16. 0, or -EBADMSG if there is none or it is above max. */
static int take_number(const char **p, unsigned int base, uint64_t max, uint64_t *ret_value)
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
			return -EBADMSG;
		value = value * base + digit;
	}
	if (*p == from)
		return -EBADMSG;
	*ret_value = value;
	return 0;
}

static int take_char(const char **p, char c)
{
	if (**p != c)
		return -EBADMSG;
	++*p;
	return 0;
}

/* Moves *p over "rwxp", each letter or '-' in its place. */
static int take_flags(const char **p, uint32_t *ret_flags)
{
	static const char letters[3] = {'r', 'w', 'x'};
	uint32_t flags = 0;

	for (unsigned int i = 0; i < sizeof(letters); i++, ++*p) {
		if (**p == letters[i])
			flags |= 1u << i;
		else if (**p != '-')
			return -EBADMSG;
	}
	if (**p == 's')
		flags |= MAPPING_SHARED;
	else if (**p != 'p')
		return -EBADMSG;
	++*p;
	*ret_flags = flags;
	return 0;
}

_Static_assert(MAPPING_READ == 1 << 0 && MAPPING_WRITE == 1 << 1 && MAPPING_EXEC == 1 << 2,
	       "take_flags counts on this order");

/* Everything before the path; moves *p to the path or the end of the line. */
static int take_mapping(const char **p, struct mapping *m)
{
	uint64_t dev_major, dev_minor;

	if (take_number(p, 16, UINT64_MAX, &m->start) || take_char(p, '-') ||
	    take_number(p, 16, UINT64_MAX, &m->end) || take_char(p, ' ') ||
	    take_flags(p, &m->flags) || take_char(p, ' ') ||
	    take_number(p, 16, UINT64_MAX, &m->offset) || take_char(p, ' ') ||
	    take_number(p, 16, UINT32_MAX, &dev_major) || take_char(p, ':') ||
	    take_number(p, 16, UINT32_MAX, &dev_minor) || take_char(p, ' ') ||
	    take_number(p, 10, UINT64_MAX, &m->inode))
		return -EBADMSG;
	if (m->start >= m->end || (**p && **p != '\n' && take_char(p, ' ')))
		return -EBADMSG;
	m->dev_major = (uint32_t)dev_major;
	m->dev_minor = (uint32_t)dev_minor;
	while (**p == ' ')
		++*p;
	return 0;
}

/*
 * The kernel releases its lock between two reads. A mapping that was merged meanwhile with one that
 * was already printed is printed again as a whole: the part that we have is cut off. Ends always
 * grow, since the kernel continues from the last end.
 */
static int cut_overlap(const struct mapping *before, struct mapping *m)
{
	if (m->start >= before->end)
		return 0;
	if (m->end <= before->end)
		return -EBADMSG;
	if (m->inode)
		m->offset += before->end - m->start;
	m->start = before->end;
	return 0;
}

int procfs__parse_mappings(const char *text, struct mappings *ret)
{
	struct mapping *items = NULL;
	size_t lines = 0, count = 0;
	char *pool;
	int err = 0;

	for (const char *p = text; *p; lines++)
		p += strcspn(p, "\n") + (strchr(p, '\n') != NULL);
	if (lines == 0)
		goto out;
	/* One block: the items, then their paths, which together are shorter than the text. */
	err = -ENOMEM;
	items = malloc(lines * sizeof(*items) + strlen(text) + 1);
	if (!items)
		goto out;
	pool = (char *)(items + lines);
	for (const char *p = text; *p; count++) {
		struct mapping *m = &items[count];
		size_t length;

		err = take_mapping(&p, m);
		if (!err && count > 0)
			err = cut_overlap(m - 1, m);
		if (err)
			goto out;
		length = strcspn(p, "\n");
		m->path = memcpy(pool, p, length);
		pool[length] = '\0';
		pool += length + 1;
		p += length + (p[length] == '\n');
	}
	err = 0;
out:
	if (err) {
		free(items);
		return err;
	}
	ret->items = items;
	ret->count = count;
	return 0;
}

int procfs__copy_mappings(const struct mappings *mappings, struct mappings *ret)
{
	size_t bytes = mappings->count * sizeof(*mappings->items), paths = 0;
	struct mapping *items;
	char *path;

	for (size_t i = 0; i < mappings->count; i++)
		paths += strlen(mappings->items[i].path) + 1;
	items = malloc(bytes + paths + 1);
	if (!items)
		return -ENOMEM;
	memcpy(items, mappings->items, bytes);
	path = (char *)items + bytes;
	for (size_t i = 0; i < mappings->count; i++) {
		items[i].path = path;
		path = stpcpy(path, mappings->items[i].path) + 1;
	}
	ret->items = items;
	ret->count = mappings->count;
	return 0;
}

void procfs__free_mappings(struct mappings *m)
{
	free(m->items);
	*m = (struct mappings){0};
}

char *procfs__map_file(const struct mapping *mapping, char name[PROCFS_MAP_FILE_BYTES])
{
	(void)snprintf(name, PROCFS_MAP_FILE_BYTES, "map_files/%" PRIx64 "-%" PRIx64,
		       mapping->start, mapping->end);
	return name;
}

/*
 * Is the address space of an open maps file still in use? If it is after the last read, all of it
 * was read. Once its last user is gone (exit or exec), reads end early without an error.
 */
static bool is_alive(int maps_fd)
{
	char byte;

	return read_at(maps_fd, &byte, 1, 0) == 1;
}

/* "PID (NAME) STATE PPID ...": the name may hold anything, a parenthesis too. */
int procfs__fields(pid_t pid, const char *file, struct procfs_fields *ret)
{
	struct procfs_fields fields = {.name = ""};
	char text[2048], *name, *at;
	ssize_t length = procfs__read(pid, file, text, sizeof(text) - 1);

	if (length < 0)
		return (int)length;
	text[length] = '\0';
	name = strchr(text, '(');
	at = strrchr(text, ')');
	if (!name || !at || at < name)
		return -EBADMSG;
	*at++ = '\0';
	(void)snprintf(fields.name, sizeof(fields.name), "%s", name + 1);
	for (int number = 3; number < PROCFS_FIELDS; number++) {
		if (*at != ' ')
			return -EBADMSG;
		at++;
		if (number == 3)
			fields.items[number] = (unsigned char)*at++;
		else
			fields.items[number] = strtoull(at, &at, 10);
	}
	*ret = fields;
	return 0;
}

/* A process has no memory: 0 if it is a kernel thread, -ESRCH if it is dead. */
static int check_memoryless(pid_t pid)
{
	const uint64_t pf_kthread = 0x00200000; /* include/linux/sched.h, since 2.6.27 */
	struct procfs_fields fields;
	int err = procfs__fields(pid, "stat", &fields);

	if (err)
		return err;
	return fields.items[9] & pf_kthread ? 0 : -ESRCH;
}

/* The complete text of a maps file; -EAGAIN if the process execs all the time. */
static int read_maps(pid_t pid, char **ret_text)
{
	int err = -EAGAIN;

	for (int tries = 0; tries < EXEC_TRIES && err == -EAGAIN; tries++) {
		char *text = NULL;
		int fd = procfs__open(pid, "maps", O_RDONLY);

		if (fd < 0)
			return fd;
		err = read_text(fd, &text);
		if (!err && *text && !is_alive(fd))
			err = -EAGAIN;
		(void)close(fd);
		if (err)
			free(text);
		else
			*ret_text = text;
	}
	return err;
}

int procfs__mappings(pid_t pid, struct mappings *ret)
{
	char *text = NULL;
	int err;

	err = read_maps(pid, &text);
	if (err)
		goto out;
	if (!*text) {
		err = check_memoryless(pid);
		if (err)
			goto out;
	}
	err = procfs__parse_mappings(text, ret);
out:
	free(text);
	return err;
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
	err = take_number(&p, 10, UINT64_MAX, &value);
	if (err)
		goto out;
	if (*p && !strchr(" \t\n", *p))
		err = -EBADMSG;
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
