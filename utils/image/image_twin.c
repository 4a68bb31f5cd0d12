/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See image_twin.h. Source: kcmp(2).
 */
#include "image/image_twin.h"

#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

int32_t image_twin__find(pid_t pid, const struct image *image, const struct image_file *file)
{
	for (size_t i = 0; i < image->file_count; i++) {
		const struct image_file *other = &image->files[i];

		if (other->inode == file->inode && other->offset == file->offset &&
		    other->dev_major == file->dev_major && other->dev_minor == file->dev_minor &&
		    syscall(SYS_kcmp, pid, pid, KCMP_FILE, other->fd, file->fd) == 0)
			return other->fd;
	}
	return -1;
}
