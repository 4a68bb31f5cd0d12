/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The mappings of the calling process: the text of /proc/self/maps, and the list that it holds. Two
 * equal texts are equal mappings, so most of the time nothing is parsed.
 */
#ifndef ROLLBACK_MAPPINGS_H
#define ROLLBACK_MAPPINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mapping {
	uint64_t start, end, offset, inode, device;
	int protection; /* PROT_... */
	bool shared;
	const char *name; /* in the text, ends with a newline; "\n" if it has none */
};

struct mapping_list {
	struct mapping *items; /* in address order */
	size_t count, room;
};

struct mapping_text {
	char *bytes; /* ends with a NUL */
	size_t length, room;
};

/* Reads the text from an open /proc/self/maps. Returns 0; -E2BIG if it does not fit; -EBADF if the
 * file is another one; or another -errno. */
int mappings__read(int fd, struct mapping_text *text);

/* Parses a text. The names in the list point into it. Returns 0; -E2BIG; or -EBADMSG. */
int mappings__parse(const struct mapping_text *text, struct mapping_list *list);

/* Reads the line at *at, and moves *at behind it. Returns 1; 0 at the end; or -EBADMSG if it is no
 * such line. */
int mappings__next(const char **at, struct mapping *ret_mapping);

/* Is it one of those that the kernel gives each process, such as the vdso? */
bool mappings__is_special(const struct mapping *mapping);

#endif
