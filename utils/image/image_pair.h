/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The pairs of connected sockets (socketpair(2)) of an image, and the packets that are in them.
 */
#ifndef IMAGE_IMAGE_PAIR_H
#define IMAGE_IMAGE_PAIR_H

#include <stdbool.h>
#include <stddef.h>

#include "image/image.h"

/* SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET. */
int image_pair__type(const struct image_object *pair);

/* IMAGE_SHUT_... */
unsigned int image_pair__shutdown(const struct image_object *pair);

/* The other end; NULL if it is closed. */
const struct image_object *image_pair__other(const struct image *image,
					     const struct image_object *pair);

/* What is sent at once: all bytes of a stream, or a packet. */
struct image_packet {
	const unsigned char *bytes;
	size_t length;
};

/*
 * The next packet that an end has to read.
 * at: where it begins in the contents of the pair; 0 at first. It is moved behind the packet.
 * Returns whether there is one. *ret and *at are untouched if there is none, or if it does not end
 * inside the contents: then *at is not their end.
 */
bool image_pair__next(const struct image *image, const struct image_object *pair, size_t *at,
		      struct image_packet *ret);

/* Are all pairs of the image possible? Its objects must be in the order of their fd, and their
 * contents inside those of the image. */
bool image_pair__check(const struct image *image);

#endif
