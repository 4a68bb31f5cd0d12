/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The file that an image is written to. Until all of it is there it has a temporary name beside its
 * own, so a crash never leaves half an image under the name that was asked for. With a name that
 * ends in ".gz" the bytes go through zlib.
 *
 *	open --> NAME.XXXXXXXXXXXXXXXX --put, zeros--> ... --commit: fsync, rename--> NAME
 *
 * It is used inside a signal handler: no malloc, no stdio; zlib's memory is a part of it.
 */
#ifndef IMAGE_IMAGE_OUTPUT_H
#define IMAGE_IMAGE_OUTPUT_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

enum {
	IMAGE_PACKED_BYTES = 1 << 16,
	IMAGE_ZLIB_BYTES = 320 << 10, /* deflate takes about 262 KiB */
};

/* Why what is at the path must not be replaced. */
enum image_refusal {
	IMAGE_NOT_REFUSED, /* errno tells it all */
	IMAGE_NOT_PLAIN,   /* something is there that is no plain file */
	IMAGE_READ_ONLY,   /* the file that is there may not be written */
};

/* About 400 KiB. The fields are its own, but for `refusal` and `compressed`. */
struct image_output {
	const char **step;          /* the caller's: what was being done when a call failed */
	enum image_refusal refusal; /* why opening or committing failed */
	uint64_t offset;            /* where the next byte goes in the file, uncompressed */
	int fd;
	int compressed;
	size_t zlib_bytes;
	z_stream stream;
	char path[PATH_MAX], temporary[PATH_MAX];
	_Alignas(16) unsigned char zlib[IMAGE_ZLIB_BYTES];
	_Alignas(16) unsigned char packed[IMAGE_PACKED_BYTES];
};

/*
 * Checks path and makes a temporary file beside it (mode 0600, O_EXCL, O_NOFOLLOW).
 * output: all of it is set; the caller's, and not moved until commit or abort. path: what is there
 * must be nothing or a plain file that may be written. step: borrowed until commit or abort;
 * from now on it is what is being done: "cannot create", ... Returns 0; -EEXIST: path is there
 * and no plain file; -EACCES: it is read-only; -ENAMETOOLONG; or the -errno of a system call. On
 * failure nothing is left behind.
 */
int image_output__open(struct image_output *output, const char *path, const char **step);

/* Why a call of this module failed with err, a -errno: a constant string. */
const char *image_output__reason(const struct image_output *output, int err);

/* Adds count bytes, less than 4 GiB. Returns 0 or -errno; the caller then calls
 * image_output__abort. */
int image_output__put(struct image_output *output, const void *bytes, size_t count);
/* The same for zeros, which become a hole. The last byte of a file must not be in one. */
int image_output__zeros(struct image_output *output, uint64_t count);

/*
 * Ends the file: fsync, rename to its path, fsync of the folder.
 * Returns 0 or -errno. On failure path is as it was, and the temporary file is gone; only if the
 * fsync of the folder failed is the new file there.
 */
int image_output__commit(struct image_output *output);

/* Gives up: removes the temporary file. Harmless after a failure, and after a commit. */
void image_output__abort(struct image_output *output);

#endif
