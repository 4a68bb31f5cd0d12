/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reading /proc/PID/maps, see procfs.h. Source: proc(5), fs/proc/task_mmu.c.
 */
#include "base/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/procfs_internal.h"
#include "base/procfs_reason.h"

enum { EXEC_TRIES = 23 }; /* times that a process may exec while we read */

static int take_char(const char **p, char c)
{
	if (**p != c)
		return -PROCFS_MALFORMED;
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
			return -PROCFS_MALFORMED;
	}
	if (**p == 's')
		flags |= MAPPING_SHARED;
	else if (**p != 'p')
		return -PROCFS_MALFORMED;
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

	if (procfs__take_number(p, 16, UINT64_MAX, &m->start) || take_char(p, '-') ||
	    procfs__take_number(p, 16, UINT64_MAX, &m->end) || take_char(p, ' ') ||
	    take_flags(p, &m->flags) || take_char(p, ' ') ||
	    procfs__take_number(p, 16, UINT64_MAX, &m->offset) || take_char(p, ' ') ||
	    procfs__take_number(p, 16, UINT32_MAX, &dev_major) || take_char(p, ':') ||
	    procfs__take_number(p, 16, UINT32_MAX, &dev_minor) || take_char(p, ' ') ||
	    procfs__take_number(p, 10, UINT64_MAX, &m->inode))
		return -PROCFS_MALFORMED;
	if (m->start >= m->end || (**p && **p != '\n' && take_char(p, ' ')))
		return -PROCFS_MALFORMED;
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
		return -PROCFS_MALFORMED;
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

size_t procfs__first_above(const struct mappings *mappings, uint64_t address)
{
	size_t low = 0, high = mappings->count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (mappings->items[middle].end > address)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
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

	return pread(maps_fd, &byte, 1, 0) == 1;
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
		err = procfs__read_text(fd, &text);
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
