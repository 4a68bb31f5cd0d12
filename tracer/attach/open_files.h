/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The open files of a process, as a list that is compared with a later one. A descriptor is the
 * same if its number is, and the inode behind it: its file may have got another name since.
 */
#ifndef TRACER_ATTACH_OPEN_FILES_H
#define TRACER_ATTACH_OPEN_FILES_H

#include <stddef.h>
#include <stdint.h>

struct open_file {
	int fd;
	uint64_t device, inode;
};

struct open_files {              /* zero-initialised: empty */
	struct open_file *items; /* in the order of their numbers */
	size_t count;
};

/* Reads the list. folder: /proc/PID/fd, open for reading. 0, -ESRCH, -ENOMEM or another -errno:
 * *ret is untouched. */
int open_files__read(int folder, struct open_files *ret);

/* Lists the files of a that b does not have. *ret: its old content is dropped. 0 or -ENOMEM
 * (empty). */
int open_files__subtract(const struct open_files *a, const struct open_files *b,
			 struct open_files *ret);

/* Frees what it holds and empties it; harmless on an empty one. */
void open_files__clear(struct open_files *files);

#endif
