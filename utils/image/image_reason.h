/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Why an image cannot be made or read, where no errno says it. A function returns -IMAGE_..., and
 * callers pass it on as they pass on -errno. Always holds: where no message comes with it, EFBIG is
 * the kernel's "File too large".
 */
#ifndef IMAGE_IMAGE_REASON_H
#define IMAGE_IMAGE_REASON_H

enum image_reason {
	IMAGE_MANY_SEGMENTS =
		8192,         /* above all errnos, and the reasons of tracer/target/reason.h */
	IMAGE_MANY_MISSING,   /* parts of memory that cannot be read */
	IMAGE_MANY_UNCHANGED, /* runs of unchanged pages in an increment */
	IMAGE_APART,          /* a thread has open files, a folder or users of its own */
	IMAGE_CUT_OFF,        /* the file ends before what is to be read */
};

/* The text for a message, of a -IMAGE_..., a -PROCFS_... (procfs_reason.h) or an -errno: a constant
 * string. Usable inside a signal handler. */
const char *image_reason__text(int err);

#endif
