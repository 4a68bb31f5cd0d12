/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Keeps the files open that a process has mapped. They hold the pages of private mappings that the
 * process has not written.
 */
#ifndef TRACER_ATTACH_FILE_SOURCES_H
#define TRACER_ATTACH_FILE_SOURCES_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/procfs.h"

enum { FILE_SOURCES_PATH_BYTES = PATH_MAX + 32 }; /* of "/proc/PID/root/NAME" */

struct file_source {
	uint64_t inode, bytes; /* bytes: how long it is */
	uint32_t dev_major, dev_minor;
	int fd;
};

struct file_sources { /* zero-initialised: empty */
	struct file_source *items;
	size_t count;
};

/* The path by which the caller finds the name of a mapped file, in the process's own root. Returns
 * 0 or -ENAMETOOLONG. */
int file_sources__path(pid_t pid, const struct mapping *mapping,
		       char ret_path[FILE_SOURCES_PATH_BYTES]);

/*
 * Opens the file of a mapping of process pid, unless it is open. The mapping leads to it, if it is
 * still there and the caller is root; or else the name, if a file with that inode has it. Returns
 * 0; -ESTALE if neither does; -ENOMEM; or another -errno.
 */
int file_sources__open(struct file_sources *sources, pid_t pid, const struct mapping *mapping);

/* The file of an inode, or NULL if it is not open. Valid until the next is opened. */
const struct file_source *file_sources__find(const struct file_sources *sources, uint32_t dev_major,
					     uint32_t dev_minor, uint64_t inode);

/* Reads bytes at an offset; zeros behind the end. Returns 0 or -errno. */
int file_source__read(const struct file_source *source, uint64_t offset, void *buffer,
		      size_t bytes);

/* Closes all; harmless on an empty one. */
void file_sources__clear(struct file_sources *sources);

#endif
