/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An increment and the images that it adds to, see image.h. The depth falls from each image to the
 * next, and the whole chain has limits, so a hostile chain ends.
 */
#include "image/image.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "image/image_internal.h"

enum { CHAIN_NOTES_MAX = 512 << 20 }; /* bytes of notes, of all images of a chain */

/* The parent of image: where it says, or beside it. */
static int open_parent(const struct image *image, struct image **ret_parent, char *message)
{
	const char *path = image__string(image, image->info.parent);
	const char *slash = strrchr(image->path, '/'), *name = strrchr(path, '/');
	struct image *parent = NULL;
	char beside[PATH_MAX];
	int err;

	err = image__open(path, &parent, message);
	if (err == -ENOENT && slash && name &&
	    snprintf(beside, sizeof(beside), "%.*s%s", (int)(slash - image->path), image->path,
		     name) < (int)sizeof(beside))
		err = image__open(beside, &parent, message);
	if (err == -ENOENT)
		(void)image__fail(message, err, image->path,
				  "it is an increment, and the image that it adds to is not there: "
				  "%s",
				  path);
	if (err)
		return err;
	/* So no chain is a circle. */
	if (parent->info.depth >= image->info.depth) {
		(void)image__fail(message, -EBADMSG, image->path,
				  "it is an increment of depth %u, and the image that it adds to "
				  "has depth %u: %s",
				  image->info.depth, parent->info.depth, path);
		image__free(parent);
		return -EBADMSG;
	}
	if (parent->info.id != image->info.parent_id) {
		(void)image__fail(message, -EBADMSG, image->path,
				  "it is an increment, and %s is not the image that it adds to: "
				  "that was replaced",
				  path);
		image__free(parent);
		return -EBADMSG;
	}
	*ret_parent = parent;
	return 0;
}

/* May a chain have one more image? */
static int check_limits(const struct image_chain *chain, uint64_t notes_bytes, char *message)
{
	if (chain->count == IMAGE_CHAIN_MAX)
		(void)image__fail(message, -EFBIG, chain->images[0]->path,
				  "more than %d images in a chain of increments", IMAGE_CHAIN_MAX);
	else if (notes_bytes > CHAIN_NOTES_MAX)
		(void)image__fail(
			message, -EFBIG, chain->images[0]->path,
			"it and the images that it adds to have more than %d MiB of notes",
			CHAIN_NOTES_MAX >> 20);
	else
		return 0;
	return -EFBIG;
}

int image_chain__open(const char *path, struct image_chain *ret_chain, char *message)
{
	struct image_chain chain = {.count = 0};
	uint64_t notes_bytes = 0;
	struct image *last = NULL;
	int err;

	err = image__open(path, &last, message);
	while (!err) {
		chain.images[chain.count++] = last;
		notes_bytes += last->notes_bytes;
		if (!(last->info.flags & IMAGE_INCREMENT)) {
			*ret_chain = chain;
			return 0;
		}
		err = check_limits(&chain, notes_bytes, message);
		if (!err)
			err = open_parent(last, &last, message);
	}
	image_chain__free(&chain);
	return err;
}

void image_chain__free(struct image_chain *chain)
{
	for (size_t i = 0; i < chain->count; i++)
		image__free(chain->images[i]);
	chain->count = 0;
}

void image_chain__locate(const struct image_chain *chain, uint64_t address,
			 struct image_stretch *ret_stretch, const struct image **ret_image)
{
	struct image_stretch stretch;

	image__locate(chain->images[0], address, ret_stretch);
	*ret_image = chain->images[0];
	for (size_t i = 1; i < chain->count && ret_stretch->kind == IMAGE_UNCHANGED; i++) {
		image__locate(chain->images[i], address, &stretch);
		ret_stretch->kind = stretch.kind == IMAGE_UNMAPPED ? IMAGE_ZERO : stretch.kind;
		ret_stretch->offset = stretch.offset;
		if (stretch.end < ret_stretch->end)
			ret_stretch->end = stretch.end;
		*ret_image = chain->images[i];
	}
	/* The last one is a full image: image__open accepts no such runs in it. */
	if (ret_stretch->kind == IMAGE_UNCHANGED)
		ret_stretch->kind = IMAGE_ZERO;
}

int image_chain__read(const struct image_chain *chain, uint64_t address, void *buffer, size_t bytes)
{
	unsigned char *to = buffer;
	const struct image *image;
	struct image_stretch stretch;
	int err = 0;

	while (bytes > 0 && !err) {
		size_t part;

		image_chain__locate(chain, address, &stretch, &image);
		if (stretch.kind == IMAGE_UNMAPPED)
			return -ENXIO;
		part = stretch.end - address < bytes ? (size_t)(stretch.end - address) : bytes;
		if (stretch.kind == IMAGE_DATA)
			err = image__read_at(image->fd, to, part, stretch.offset);
		else
			memset(to, 0, part);
		to += part;
		address += part;
		bytes -= part;
	}
	return err;
}
