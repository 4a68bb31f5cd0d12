/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Open files: those that are new are closed, and offsets are put back, if the program asks for it.
 */
#ifndef ROLLBACK_DESCRIPTORS_H
#define ROLLBACK_DESCRIPTORS_H

#include "rollback/checkpoint.h"

/* Notes the open files. Returns 0; -E2BIG if there are too many; or another -errno. */
int descriptors__save(struct rollback *rollback);

void descriptors__restore(const struct rollback *rollback);

#endif
