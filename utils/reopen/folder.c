/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See folder.h.
 */
#include "reopen/folder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "reopen/file_kind.h"
#include "reopen/same_root.h"

const char *folder__find_change(const struct image *image)
{
	const struct image_surroundings *then = &image->surroundings;
	const char *path = image__string(image, image->process.cwd);
	struct stat st;

	if (*path != '/' || file_kind__is_deleted(path))
		return NULL;
	if (stat(path, &st) < 0)
		return errno == ENOENT ? "is not there any more" : "cannot be reached";
	if (!S_ISDIR(st.st_mode))
		return "is now no folder";
	if (then->folder_inode &&
	    (st.st_ino != then->folder_inode ||
	     (same_root__is_same_boot(image) && st.st_dev != then->folder_device)))
		return "is another one now";
	return NULL;
}

static int enter_deleted(void)
{
	char path[] = "/tmp/restart.XXXXXX";
	int err = 0;

	if (!mkdtemp(path))
		return -errno;
	if (chdir(path) < 0)
		err = -errno;
	(void)rmdir(path);
	return err;
}

void folder__enter(const struct image *image)
{
	const char *path = image__string(image, image->process.cwd);
	int err;

	if (file_kind__is_deleted(path))
		err = enter_deleted();
	else
		err = chdir(path) < 0 ? -errno : 0;
	if (err)
		log__warn("cannot go to the folder %s, where the process was: %s", path,
			  strerror(-err));
}
