/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See image_pair.h.
 */
#include "image/image_pair.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int image_pair__type(const struct image_object *pair)
{
	return (int)(pair->values[1] & UINT32_MAX);
}

unsigned int image_pair__shutdown(const struct image_object *pair)
{
	return (unsigned int)(pair->values[1] >> 32);
}

static int compare(const void *key, const void *element)
{
	const uint64_t fd = *(const uint64_t *)key;
	const uint64_t other = (uint64_t)((const struct image_object *)element)->fd;

	return (fd > other) - (fd < other);
}

const struct image_object *image_pair__other(const struct image *image,
					     const struct image_object *pair)
{
	return image->object_count ? bsearch(&pair->values[0], image->objects, image->object_count,
					     sizeof(*image->objects), compare)
				   : NULL;
}

bool image_pair__next(const struct image *image, const struct image_object *pair, size_t *at,
		      struct image_packet *ret)
{
	const unsigned char *bytes = (const unsigned char *)image->contents + pair->contents + *at;
	const size_t left = pair->bytes - *at;
	uint32_t length;

	if (left == 0)
		return false;
	if (image_pair__type(pair) == SOCK_STREAM) {
		*ret = (struct image_packet){bytes, left};
		*at += left;
		return true;
	}
	if (left < sizeof(length))
		return false;
	memcpy(&length, bytes, sizeof(length));
	if (length > left - sizeof(length))
		return false;
	*ret = (struct image_packet){bytes + sizeof(length), length};
	*at += sizeof(length) + length;
	return true;
}

static bool has_other_end(const struct image *image, const struct image_object *pair)
{
	const struct image_object *other = image_pair__other(image, pair);

	return other && other != pair && other->kind == IMAGE_PAIR &&
	       other->values[0] == (uint64_t)pair->fd &&
	       image_pair__type(other) == image_pair__type(pair);
}

static bool has_known_values(const struct image_object *pair)
{
	const int type = image_pair__type(pair);

	return (type == SOCK_STREAM || type == SOCK_DGRAM || type == SOCK_SEQPACKET) &&
	       !(image_pair__shutdown(pair) & ~(IMAGE_SHUT_READ | IMAGE_SHUT_WRITE)) &&
	       (pair->values[2] & UINT32_MAX) <= INT_MAX && pair->values[2] >> 32 <= INT_MAX &&
	       !(pair->values[3] & ~(uint64_t)IMAGE_PASS_CREDENTIALS);
}

bool image_pair__check(const struct image *image)
{
	for (size_t i = 0; i < image->object_count; i++) {
		const struct image_object *pair = &image->objects[i];
		struct image_packet packet;
		size_t at = 0;

		if (pair->kind != IMAGE_PAIR)
			continue;
		while (image_pair__next(image, pair, &at, &packet))
			;
		if (at != pair->bytes || !has_known_values(pair) ||
		    (pair->values[0] != IMAGE_CLOSED_END && !has_other_end(image, pair)))
			return false;
	}
	return true;
}
