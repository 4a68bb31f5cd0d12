/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See image_internal.h.
 */
#include "image/image_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "image/image_reason.h"
#include "slab/slab_heap.h"

int image__fail(char *message, int err, const char *path, const char *format, ...)
{
	va_list args;
	int n;

	n = snprintf(message, IMAGE_MESSAGE_BYTES, "%s: ", path);
	if (n >= 0 && n < IMAGE_MESSAGE_BYTES) {
		va_start(args, format);
		(void)vsnprintf(message + n, IMAGE_MESSAGE_BYTES - (size_t)n, format, args);
		va_end(args);
	}
	/* Some of it is from the file, and a terminal obeys control characters. */
	for (char *c = message; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	}
	return err;
}

int image__read_at(int fd, void *buffer, size_t bytes, uint64_t offset)
{
	unsigned char *to = buffer;

	while (bytes > 0) {
		ssize_t n = pread(fd, to, bytes, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -IMAGE_CUT_OFF;
		to += n;
		offset += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return 0;
}

void *image__alloc(const struct image *image, size_t count, size_t size)
{
	void *memory = NULL;
	size_t bytes;

	if (!__builtin_mul_overflow(count, size, &bytes))
		memory = slab_heap__alloc(image->heap, bytes);
	return memory ? memset(memory, 0, bytes) : NULL;
}
