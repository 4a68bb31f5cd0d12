/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A folder for one unit test, below TMPDIR or /tmp. It becomes the current folder.
 */
#ifndef UNIT_FOLDER_H
#define UNIT_FOLDER_H

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <unistd.h>

#include "tap.h"

static char folder[PATH_MAX];        /* absolute and without links; "" before folder__enter */
static char folder_content[1 << 17]; /* of the file that was read last */

/* Makes an empty folder with name in its name, and goes there. */
static inline void folder__enter(const char *name)
{
	const char *base = getenv("TMPDIR");

	(void)snprintf(folder, sizeof(folder), "%s/%s.XXXXXX", base ? base : "/tmp", name);
	must(!mkdtemp(folder) || chdir(folder) != 0);
	must(!getcwd(folder, sizeof(folder)));
}

/* The absolute path of that name in the folder; valid until the fourth call from now. */
static inline const char *folder__path(const char *name)
{
	static char paths[4][PATH_MAX + 64];
	static unsigned int next;
	char *path = paths[next++ % 4];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

/* Reads a file of the folder into folder_content, at most 131071 bytes. */
static inline const char *folder__read(const char *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, folder_content, sizeof(folder_content) - 1);

	if (fd >= 0)
		(void)close(fd);
	folder_content[n > 0 ? n : 0] = '\0';
	return n < 0 ? "(cannot be read)" : folder_content;
}

static inline int folder__remove_one(const char *path, const struct stat *status, int type,
				     struct FTW *place)
{
	(void)status;
	(void)type;
	(void)place;
	return remove(path);
}

/* Removes it with all that is in it. */
static inline void folder__remove(void)
{
	if (nftw(folder, folder__remove_one, 8, FTW_DEPTH | FTW_PHYS) != 0)
		tap__note("%s is left behind: %s", folder, strerror(errno));
}

#endif
