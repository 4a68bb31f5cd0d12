/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See image_reason.h.
 */
#include "image/image_reason.h"

#include "base/procfs_reason.h"
#include "image/image_format.h"

const char *image_reason__text(int err)
{
	switch (-err) {
	case IMAGE_MANY_SEGMENTS:
		return "there would be more segments than 60000";
	case IMAGE_MANY_MISSING:
		return "more than 60000 parts of memory cannot be read";
	case IMAGE_MANY_UNCHANGED:
		return "there would be too many runs of unchanged pages";
	case IMAGE_APART:
		return "a thread has open files, a current folder or a user of its own "
		       "(unshare(2), setfsuid(2)), which no image holds";
	case IMAGE_CUT_OFF:
		return "the file is cut off";
	default:
		return procfs_reason__text(err);
	}
}
_Static_assert(IMAGE_SEGMENTS_MAX == 60000, "the texts above say it");
