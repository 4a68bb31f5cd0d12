/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See soft_dirty.h.
 */
#include "pages/soft_dirty.h"

#include <errno.h>
#include <fcntl.h>

#include "base/nocancel.h"

int soft_dirty__clear(void)
{
	int fd = nocancel__open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC, 0), err = 0;

	if (fd < 0)
		return -errno;
	if (nocancel__write(fd, "4", 1) != 1)
		err = -errno;
	(void)nocancel__close(fd);
	return err;
}
