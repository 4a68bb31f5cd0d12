/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Pairs of connected sockets (socketpair(2)), if the calling process has both ends, or if the other
 * end is closed. Usable inside a signal handler.
 */
#ifndef CAPTURE_CAPTURE_PAIRS_H
#define CAPTURE_CAPTURE_PAIRS_H

#include <stdbool.h>

#include "image/image.h"

/*
 * Fills in the kind, the values and the bytes of an IMAGE_PAIR.
 * image: its files and threads are complete.
 * file: one of its files, a socket of AF_UNIX, the lowest with this open file.
 * type: of the socket.
 * room: for what the end has to read, which stays in the socket.
 * Returns whether it can be made anew. Not if the kernel does not tell the other end, if it is not
 * in the process, if a child has the socket too, or if not all that it has to read can be copied.
 */
bool capture_pairs__take(const struct image *image, const struct image_file *file, int type,
			 unsigned char *room, size_t room_bytes, struct image_object *object);

#endif
