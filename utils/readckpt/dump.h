/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Memory of an image in hexadecimal.
 */
#ifndef READCKPT_DUMP_H
#define READCKPT_DUMP_H

#include <stdint.h>
#include <stdio.h>

#include "image/image.h"

/*
 * Writes bytes of memory from address on, 16 in a line, with their characters; lines like the one
 * before are shown as one "*". Pages that are in a parent are read there. Afterwards the segments
 * that hold these bytes are read as a whole, to verify their checksums.
 * address, bytes: their sum must not overflow. Errors of out are the caller's to see.
 * message: IMAGE_MESSAGE_BYTES. Returns 0; or, with a message, -ENXIO at the first address that is
 * in no mapping; -ENODATA if some of it could not be read when the image was written (it is shown
 * as zeros); -EBADMSG if a checksum is wrong; -IMAGE_CUT_OFF; the -errno of a read.
 */
int dump__write(FILE *out, const struct image_chain *chain, uint64_t address, uint64_t bytes,
		char *message);

#endif
