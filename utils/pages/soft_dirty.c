/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See soft_dirty.h.
 */
#include "pages/soft_dirty.h"

#include <errno.h>
#include <fcntl.h>

#include "base/nocancel.h"

int soft_dirty__clear(int fd)
{
	const int own =
		fd < 0 ? nocancel__open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC, 0) : -1;
	int err = 0;

	if (fd < 0 && own < 0)
		return -errno;
	if (nocancel__write(fd < 0 ? own : fd, "4", 1) != 1)
		err = -errno;
	if (own >= 0)
		(void)nocancel__close(own);
	return err;
}
