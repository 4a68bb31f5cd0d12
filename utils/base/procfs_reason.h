/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Why a file of /proc cannot be used, where no errno says it. A function returns -PROCFS_..., and
 * callers pass it on as they pass on -errno. image/image_reason.h and tracer/target/reason.h have
 * numbers of their own.
 */
#ifndef BASE_PROCFS_REASON_H
#define BASE_PROCFS_REASON_H

enum procfs_reason {
	PROCFS_MALFORMED = 12288, /* above all other reasons: a line is not as proc(5) says */
};

/* The text for a message, of a -PROCFS_... or an -errno: a constant string. Usable inside a signal
 * handler. */
const char *procfs_reason__text(int err);

#endif
