/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See procfs_reason.h.
 */
#include "base/procfs_reason.h"

#include <string.h>

const char *procfs_reason__text(int err)
{
	const char *text;

	if (err == -PROCFS_MALFORMED)
		return "a file of /proc has a line that proc(5) does not know";
	text = strerrordesc_np(-err);
	return text ? text : "unknown error";
}
