/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The bytes of private mappings: saving and arming them. restore_zones.h puts them back.
 */
#ifndef ROLLBACK_ZONES_H
#define ROLLBACK_ZONES_H

#include "rollback/checkpoint.h"

#define ZONE_DATA ((uint64_t)PAGEMAP_PRESENT | PAGEMAP_SWAPPED)

/* A run of at least so many stored bytes, a huge page, is a zone of its own. So its saved bytes can
 * lie in huge pages, as the zone does. */
#define ZONE_DENSE_BYTES (2ULL << 20)

/* Where the saved bytes of an address are. */
static inline uint64_t zone__copy(const struct zone *zone, uint64_t address)
{
	return zone->store + (address - zone->start);
}

static inline uint64_t zone__page_count(const struct zone *zone)
{
	return (zone->end - zone->start) / PAGE_BYTES;
}

static inline struct page *zone__page(const struct zone *zone, uint64_t address)
{
	return &zone->pages[(address - zone->start) / PAGE_BYTES];
}

/* A page table has the pages of so many bytes. The first page of a dense zone in each table is the
 * sentinel of that table (restore_zones.c). */
#define ZONE_TABLE_BYTES (512 * PAGE_BYTES)

/* The sentinel of the table that has the page at address. */

static inline uint64_t zone__sentinel(const struct zone *zone, uint64_t address)
{
	const uint64_t table = address & ~(ZONE_TABLE_BYTES - 1);

	return table > zone->start ? table : zone->start;
}

/* The sentinel of the next table. */
static inline uint64_t zone__next_sentinel(uint64_t sentinel)
{
	return (sentinel & ~(ZONE_TABLE_BYTES - 1)) + ZONE_TABLE_BYTES;
}

/* With a list there are no sentinels, for all pages must be armed. */
static inline bool zone__is_dense(const struct rollback *rollback, const struct zone *zone)
{
	return zone->dense && !own_files__has_list(rollback->files);
}

static inline bool zone__is_sentinel(const struct rollback *rollback, const struct zone *zone,
				     uint64_t address)
{
	return zone__is_dense(rollback, zone) && address == zone__sentinel(zone, address);
}

/* How many pages a checkpoint of such a mapping has room for; 0 if it is not saved. */
uint64_t zones__pages_of(const struct mapping *mapping);

/* The next part of [*at, end) that is not memory of the library. excluded: nor excluded from the
 * rollback. Moves *at to its start, and sets *ret_end. Returns false if there is none. */
bool zones__next_part(const struct rollback *rollback, bool excluded, uint64_t *at, uint64_t end,
		      uint64_t *ret_end);

/* Saves all pages of the mappings of rollback->saved. store: the room for them, page-aligned.
 * pages, runs: likewise, all zero. Returns 0 or -errno. */
int zones__save(struct rollback *rollback, uint64_t store, struct page *pages);

/* From now on, writes count. A zone that cannot be armed is compared. */
void zones__arm(struct rollback *rollback);

/* Arms a part of a zone anew. */
void zones__arm_range(struct rollback *rollback, struct zone *zone, uint64_t start, uint64_t end);

/* The mapping there is another one than at the checkpoint, or may have lost pages unnoticed: all of
 * it is looked at in the next rollback. */
void zones__changed(struct rollback *rollback, uint64_t start, uint64_t end);

/* Memory was mapped again, and not touched yet. It is registered as its neighbours are, so that the
 * kernel makes one mapping of them: mremap(2) fails for a range of several. */
void zones__mapped(struct rollback *rollback, uint64_t start, uint64_t end);

/* Is this part of a mapping saved? */
bool zones__have(const struct rollback *rollback, const struct range *part);

/* Marks the pages of an excluded range. */
void zones__exclude(struct rollback *rollback, const struct range *range);

#endif
