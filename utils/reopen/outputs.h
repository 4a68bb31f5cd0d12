/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Output that came after an image. The process writes it anew, so it must not be there already. But
 * somebody else may have written it: it is never deleted without a copy.
 */
#ifndef REOPEN_OUTPUTS_H
#define REOPEN_OUTPUTS_H

#include <stdbool.h>
#include <stddef.h>

#include "image/image.h"

/*
 * Has the process written file i of the image from its beginning to its end, alone as far as it
 * knows? So it is with a standard output in a plain file, but not with O_APPEND.
 */
bool outputs__is_one(const struct image *image, size_t i);

/*
 * Copies what follows the end that output i had. The copy is a new file beside it, NAME.cut.N. Says
 * so on a terminal, or if verbose.
 * If it cannot be kept, or somebody else has the file open for writing, a warning says that the
 * process writes over it.
 * Returns whether it may be cut off now.
 */
bool outputs__keep_rest(const struct image *image, size_t i);

#endif
