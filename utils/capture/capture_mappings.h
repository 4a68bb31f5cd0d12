/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The mappings of the calling process: the lines of /proc/self/maps. Usable inside a signal
 * handler.
 */
#ifndef CAPTURE_CAPTURE_MAPPINGS_H
#define CAPTURE_CAPTURE_MAPPINGS_H

#include "capture/capture_strings.h"

/*
 * Fills in the mappings of the image.
 * text: /proc/self/maps. own: own_count ranges of our own, in address order, which become
 * IMAGE_ARENA: a mapping that contains one is cut in up to three. Returns 0 or -ENOMEM.
 */
int capture_mappings__add(struct capture *capture, const char *text, const struct image_run *own,
			  size_t own_count);

#endif
