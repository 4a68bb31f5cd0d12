/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Puts back the pages that a tracer has listed (listed_pages.h), without a look at any other.
 */
#ifndef ROLLBACK_RESTORE_LISTED_H
#define ROLLBACK_RESTORE_LISTED_H

#include "rollback/checkpoint.h"

/* Is a listed page in no zone? Then a mapping has grown, or one was written that is not saved. */
bool restore_listed__has_stranger(const struct rollback *rollback);

/* Puts back the listed pages and the hot ones, in the zones that are listed. Returns 0 or
 * -errno. */
int restore_listed(struct rollback *rollback);

#endif
