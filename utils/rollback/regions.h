/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The bytes of private mappings: saving and arming them. restore_regions.h puts them back.
 */
#ifndef ROLLBACK_REGIONS_H
#define ROLLBACK_REGIONS_H

#include "rollback/checkpoint.h"

#define REGION_DATA ((uint64_t)PAGEMAP_PRESENT | PAGEMAP_SWAPPED)

/* Where the saved bytes of an address are. */
static inline uint64_t region__copy(const struct region *region, uint64_t address)
{
	return region->store + (address - region->start);
}

static inline struct page *region__page(const struct region *region, uint64_t address)
{
	return &region->pages[(address - region->start) / PAGE_BYTES];
}

/* The first page of a dense region from each page table on, which has those of 2 MiB: the sentinel
 * of that table. These are for the tables that hold [address, ...). */
#define REGION_TABLE_BYTES (512 * PAGE_BYTES)

static inline uint64_t region__sentinel(const struct region *region, uint64_t address)
{
	const uint64_t table = address & ~(REGION_TABLE_BYTES - 1);

	return table > region->start ? table : region->start;
}

static inline uint64_t region__next_sentinel(uint64_t sentinel)
{
	return (sentinel & ~(REGION_TABLE_BYTES - 1)) + REGION_TABLE_BYTES;
}

/* With a list there are no sentinels, for all pages must be armed. */
static inline bool region__is_dense(const struct rollback *rollback, const struct region *region)
{
	return region->dense && !own_files__has_list(rollback->files);
}

static inline bool region__is_sentinel(const struct rollback *rollback, const struct region *region,
				       uint64_t address)
{
	return region__is_dense(rollback, region) && address == region__sentinel(region, address);
}

/* How many pages a checkpoint of such a mapping has room for; 0 if it is not saved. */
uint64_t regions__pages_of(const struct mapping *mapping);

/* The next part of [*at, end) that is not memory of the library, nor excluded if that is asked for.
 * Moves *at to its start. Returns false if there is none. */
bool regions__next_part(const struct rollback *rollback, bool excluded, uint64_t *at, uint64_t end,
			uint64_t *ret_end);

/* Saves all pages of the mappings of rollback->saved. store: the room for them, page-aligned.
 * pages, runs: likewise, all zero. Returns 0 or -errno. */
int regions__save(struct rollback *rollback, uint64_t store, struct page *pages);

/* From now on, writes count. A region that cannot be armed is compared. */
void regions__arm(struct rollback *rollback);

/* Arms a part of a region anew. */
void regions__arm_range(struct rollback *rollback, struct region *region, uint64_t start,
			uint64_t end);

/* The mapping there is another one than at the checkpoint, or may have lost pages unnoticed: all of
 * it is looked at in the next rollback. */
void regions__changed(struct rollback *rollback, uint64_t start, uint64_t end);

/* Memory was mapped again, and not touched yet. It is registered as its neighbours are, so that the
 * kernel makes one mapping of them: mremap(2) fails for a range of several. */
void regions__mapped(struct rollback *rollback, uint64_t start, uint64_t end);

/* Is this part of a mapping saved? */
bool regions__have(const struct rollback *rollback, const struct range *part);

/* Marks the pages of an excluded range. */
void regions__exclude(struct rollback *rollback, const struct range *range);

#endif
