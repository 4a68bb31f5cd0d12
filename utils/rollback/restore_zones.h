/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Puts back the bytes of private mappings that have been written, or are gone, since a checkpoint.
 */
#ifndef ROLLBACK_RESTORE_ZONES_H
#define ROLLBACK_RESTORE_ZONES_H

#include "rollback/checkpoint.h"

/* The mappings must be those of the checkpoint. Returns 0; or -EBADF or another -errno if the
 * program has closed or replaced a file of own_files.h. */
int restore_zones(struct rollback *rollback);

#endif
