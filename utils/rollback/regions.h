/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The bytes of private mappings: saving them, and putting those back that have been written since.
 */
#ifndef ROLLBACK_REGIONS_H
#define ROLLBACK_REGIONS_H

#include "rollback/checkpoint.h"

/* How many pages a checkpoint of such a mapping has room for; 0 if it is not saved. */
uint64_t regions__pages_of(const struct mapping *mapping);

/* Saves all pages of the mappings of rollback->saved. store: the room for them, page-aligned.
 * pages, runs: likewise, all zero. Returns 0 or -errno. */
int regions__save(struct rollback *rollback, uint64_t store, struct page *pages);

/* From now on, writes count. A region that cannot be armed is compared. */
void regions__arm(struct rollback *rollback);

/* The mapping there is another one than at the checkpoint, or may have lost pages unnoticed: all of
 * it is looked at in the next rollback. */
void regions__changed(struct rollback *rollback, uint64_t start, uint64_t end);

/* Is this part of a mapping saved? */
bool regions__have(const struct rollback *rollback, const struct range *part);

/* Puts back the bytes of all regions; the mappings must be those of the checkpoint. Returns 0;
 * -EAGAIN if a file of ours is not ours any more; or another -errno. */
int regions__restore(struct rollback *rollback);

/* Marks the pages of an excluded range. */
void regions__exclude(struct rollback *rollback, const struct range *range);

#endif
