/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The file that an image is written to. It has a temporary name until it is complete, so a crash
 * never leaves half an image under the name that was asked for. With a name that ends in ".gz" the
 * bytes go through zlib.
 *
 *	open --> NAME.XXXXXXXXXXXXXXXX --put, zeros--> ... --commit: fsync, rename--> NAME
 *
 * Usable inside a signal handler: zlib's memory is a part of it.
 */
#ifndef IMAGE_IMAGE_OUTPUT_H
#define IMAGE_IMAGE_OUTPUT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

enum {
	IMAGE_PACKED_BYTES = 1 << 16,
	IMAGE_ZLIB_BYTES = 320 << 10, /* deflate takes about 262 KiB */
};

/* Why a call failed, in words: "STEP PATH: REASON". */
struct image_failure {
	const char *step;   /* what was being done: "cannot create", ... */
	const char *reason; /* NULL: what was returned says it (image_reason.h) */
};

/* The reason of a call that has failed with err: a constant string. */
const char *image_failure__reason(const struct image_failure *failure, int err);

/* About 400 KiB. The fields are its own, but for `compressed`. */
struct image_output {
	struct image_failure *failure; /* the caller's */
	uint64_t offset;               /* where the next byte goes in the file, uncompressed */
	int fd;
	bool compressed;
	size_t zlib_bytes;
	z_stream stream;
	char path[PATH_MAX], temporary[PATH_MAX];
	_Alignas(16) unsigned char zlib[IMAGE_ZLIB_BYTES];
	_Alignas(16) unsigned char packed[IMAGE_PACKED_BYTES];
};

/*
 * Checks path and makes a temporary file beside it (mode 0600, O_EXCL, O_NOFOLLOW).
 * output: all of it is set; the caller's, and not moved until commit or abort. path: what is there
 * must be nothing or a plain file that may be written. failure: borrowed until commit or abort; set
 * by each call that fails.
 * Returns 0; -EEXIST: path is there and no plain file; -EACCES: it is read-only; -ENAMETOOLONG; or
 * the -errno of a system call. On failure nothing is left behind.
 */
int image_output__open(struct image_output *output, const char *path,
		       struct image_failure *failure);

/* Adds count bytes, less than 4 GiB. Returns 0 or -errno; the caller then calls
 * image_output__abort. */
int image_output__put(struct image_output *output, const void *bytes, size_t count);
/* The same for zeros, which become a hole. The last byte of a file must not be in one. */
int image_output__zeros(struct image_output *output, uint64_t count);

/*
 * Ends the file: fsync, rename to its path, fsync of the folder. Returns 0 or -errno. On failure
 * path is as it was, and the temporary file is gone. But if only the fsync of the folder failed,
 * the new file is there.
 */
int image_output__commit(struct image_output *output);

/* Gives up: removes the temporary file. Harmless after a failure, and after a commit. */
void image_output__abort(struct image_output *output);

#endif
