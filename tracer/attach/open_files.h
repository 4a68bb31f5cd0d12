/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The open files of a process, as a list that is compared with a later one. A descriptor is the
 * same if its number and the name of its file (/proc/PID/fd) are.
 */
#ifndef TRACER_ATTACH_OPEN_FILES_H
#define TRACER_ATTACH_OPEN_FILES_H

#include <stddef.h>
#include <sys/types.h>

struct open_file {
	int fd;
	char *name; /* "/absolute/path", "pipe:[23]", ... */
};

struct open_files {              /* zero-initialised: empty */
	struct open_file *items; /* in the order of their numbers */
	size_t count;
};

/* Reads the list of process pid. 0, -ESRCH, -ENOMEM or another -errno: *ret is untouched. */
int open_files__read(pid_t pid, struct open_files *ret);

/* Frees what it holds and empties it; harmless on an empty one. */
void open_files__clear(struct open_files *files);

#endif
