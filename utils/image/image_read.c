/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Opening an image, see image.h.
 */
#include "image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/procfs.h"
#include "image/image_headers.h"
#include "image/image_internal.h"
#include "image/image_notes.h"
#include "image/image_unpack.h"
#include "slab/slab_heap.h"

static int open_file(const char *path, struct image *image, char *message)
{
	unsigned char magic[2] = {0};
	char absolute[PATH_MAX];
	struct stat st;

	/* Only a plain file may be opened: a device may act on it. A pipe of /dev/fd has no
	 * path. */
	if (stat(path, &st) < 0)
		return image__fail(message, -errno, path, "cannot open: %s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return image__fail(message, -ENOEXEC, path, "not an image: it is no plain file");
	if (!realpath(path, absolute))
		return image__fail(message, -errno, path, "cannot open: %s", strerror(errno));
	image->path = image__alloc(image, strlen(absolute) + 1, 1);
	if (!image->path)
		return image__fail(message, -ENOMEM, path, "%s", strerror(ENOMEM));
	memcpy(image->path, absolute, strlen(absolute));
	image->fd = open(image->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (image->fd < 0 || fstat(image->fd, &st) < 0)
		return image__fail(message, -errno, path, "cannot open: %s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return image__fail(message, -ENOEXEC, path, "not an image: it is no plain file");
	image->file_bytes = (uint64_t)st.st_size;
	if (st.st_size >= 2 && image__read_at(image->fd, magic, sizeof(magic), 0) == 0 &&
	    magic[0] == 0x1f && magic[1] == 0x8b)
		/* restart holds the memory twice: unpacked, and where the process has it. */
		return image_unpack__replace(image, procfs__available_memory() / 2, message);
	return 0;
}

/* An empty image in a heap of its own. */
static struct image *make_image(void)
{
	struct slab_heap *heap;
	struct image *image;

	if (slab_heap__create(NULL, 0, &heap))
		return NULL;
	image = slab_heap__alloc(heap, sizeof(*image));
	if (!image) {
		slab_heap__destroy(heap);
		return NULL;
	}
	*image = (struct image){.heap = heap, .fd = -1};
	return image;
}

int image__open(const char *path, struct image **ret_image, char *message)
{
	struct image *image = make_image();
	size_t notes, notes_bytes;
	int err;

	if (!image)
		return image__fail(message, -ENOMEM, path, "%s", strerror(ENOMEM));
	err = open_file(path, image, message);
	if (err)
		goto out;
	err = image_headers__read(image, &notes, &notes_bytes, message);
	if (err)
		goto out;
	err = image_notes__read(image, notes, notes_bytes, message);
	if (err)
		goto out;
	*ret_image = image;
	image = NULL;
out:
	image__free(image);
	return err;
}

void image__free(struct image *image)
{
	if (!image)
		return;
	if (image->fd >= 0)
		(void)close(image->fd);
	slab_heap__destroy(image->heap);
}

const char *image__string(const struct image *image, uint32_t at)
{
	return at < image->string_bytes ? image->strings + at : "";
}
