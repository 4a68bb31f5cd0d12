/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Puts back the mappings of a checkpoint: those that are new are unmapped, those that are gone are
 * made again, protections and the heap's end are as they were. Their bytes are for zones.h.
 */
#ifndef ROLLBACK_RESTORE_MAPPINGS_H
#define ROLLBACK_RESTORE_MAPPINGS_H

#include "rollback/checkpoint.h"

/* Notes the mappings as they are now, and the heap's end. To be called when the checkpoint is
 * complete, whose own mappings are among them. Returns 0 or -errno. */
int restore_mappings__expect(struct rollback *rollback);

/* Puts them back. Returns 0; -EBADF if /proc/self/maps has been closed by the program; or another
 * -errno with the reason in *ret_why. */
int restore_mappings__restore(struct rollback *rollback, const char **ret_why);

#endif
