/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the slab and the page engine have in common: they keep whole pages, and a table says which
 * (slab_table.h). Where the bytes of a page are is the business of each engine.
 *
 * An operation visits every entry, or a list of them: where writes are tracked (dirty_pages.h), the
 * pages that may differ from the snapshot. Such a checkpoint gives these pages new slots, and the
 * snapshot before it stays whole until the next operation:
 *
 *	slots:      |old a|old b|old c|old d| ... |new b|new d|
 *	table:         a     b     c     d    with b and d in their new slots
 *	revisions:  b was in its old slot, d was in its old slot
 *
 * Always holds: known has each page of the table once, unless it is gone. These pages lie in the
 * ranges that were saved. The pages of an operation are pending until it has succeeded.
 * paged_engine.h has what can be done with one.
 */
#ifndef TRACER_ENGINE_PAGED_STATE_H
#define TRACER_ENGINE_PAGED_STATE_H

#include "engine/dirty_pages.h"
#include "engine/engine.h"
#include "engine/extents.h"
#include "engine/revisions.h"
#include "engine/slab_table.h"
#include "target/write_batch.h"

struct paged_engine;

struct paged_ops { /* where the bytes are; all return 0 or -errno */
	/* Before a checkpoint: makes room for so many pages in all. */
	int (*make_room)(struct paged_engine *paged, uint64_t pages);

	/* Before a copy, with the table filled: tells the kernel side what to visit. */
	int (*lay_out)(struct paged_engine *paged, enum operation_kind kind);

	/* The bytes of a page that is present. at: where to put them, below paged->fetched_most, if
	 * they are not in memory. */
	int (*fetch)(struct paged_engine *paged, const struct slab *slab, uint32_t at,
		     uint8_t **ret_bytes);

	/* Memory to read a page into, and keeping what was read there. */
	int (*next)(struct paged_engine *paged, struct slab *slab, uint8_t **ret_bytes);
	int (*keep)(struct paged_engine *paged, struct slab *slab, const uint8_t *bytes);

	/* Gives a page a slot other than before, or takes its slot away. A page that is gone has no
	 * bytes in its slot. */
	int (*take_slot)(struct paged_engine *paged, struct slab *slab, uint32_t before);
	void (*give_slot)(struct paged_engine *paged, struct slab *slab);

	/* Is there room for the snapshot with new slots for all pending pages, or can it be made
	 * without losing the snapshot? */
	bool (*has_room)(struct paged_engine *paged);

	/* Nothing is saved any more; the table has its entries still. */
	void (*clear)(struct paged_engine *paged);

	/* Nothing is saved of [start, end) any more. May be NULL. */
	int (*drop)(struct paged_engine *paged, uint64_t start, uint64_t end);
};

struct paged_engine {
	struct engine engine;
	const struct paged_ops *ops;
	struct extents extents; /* the table and, with the slab engine, the slots */
	struct slab_table table;
	struct revisions revisions;
	struct dirty_pages dirty;
	struct intervals saved;   /* ranges of the last checkpoint, page-aligned */
	struct intervals known;   /* pages of the table */
	struct intervals pending; /* pages that may differ, whatever the tracking says */
	struct intervals later;   /* pages that were written after the copy of a restore */
	struct intervals hot;     /* pages of the operation that are not armed */
	struct write_batch batch; /* what a repair writes */
	uint32_t *list;           /* numbers of the entries that the operation visits */
	uint32_t listed, list_room;
	uint32_t fetched_most; /* pages that can be fetched at the same time; 0: no limit */
	uint32_t zeros;        /* pages of the last checkpoint that took no slot */
	uint64_t sequence;     /* of the operation that was begun last */
	uint32_t crowded;      /* operations in a row in which most pages were dirty */
	uint32_t pause;        /* operations to come for which nothing is armed */
	uint32_t pauses;       /* begun since a round in which few pages were dirty */
	bool is_round;         /* pages can be dirty: not a checkpoint just after a restore */
	uint32_t uncompared;   /* crowded restores to come whose pages are not compared */
	bool is_sample;        /* the restore compares, to see how many pages of a crowd differ */
	bool again;            /* the operation begins once more, for mappings have changed */
	bool narrow;           /* the operation visits the list, not the whole table */
	bool tracked;          /* the operation relies on what is armed, or arms it */
	bool whole;            /* the table has a snapshot that can be restored */
	bool replaced;         /* the last checkpoint has taken the place of the one before */
	bool committed;        /* the last checkpoint stands */
	bool unsure;           /* what the copy left may change until the target stands still */
	bool verify, restore_all, restore_in_bpf; /* settings */
	uint8_t round;     /* counts the operations in which a page can be dirty, for hot pages */
	bool was_restored; /* since the last checkpoint */
	bool pinned_told;  /* a message has said that all pages are compared */
};

/* The engine that is the first field of a paged engine. */
static inline struct paged_engine *paged_engine__of(const struct engine *engine)
{
	return (struct paged_engine *)engine;
}

/* The entries that the operation visits, by numbers from 0 to their count. */
static inline uint32_t paged_engine__visits(const struct paged_engine *paged)
{
	return paged->narrow ? paged->listed : paged->engine.state->slabs;
}

static inline struct slab *paged_engine__visited(const struct paged_engine *paged, uint32_t number)
{
	return slab_table__at(&paged->table, paged->narrow ? paged->list[number] : number);
}

/* Leaves a page to user space. */
static inline void paged_engine__flag(struct paged_engine *paged, struct slab *slab, uint8_t flags)
{
	slab->flags |= flags;
	paged->engine.state->operation.slab_flags++;
}

/* Slots for so many pages, and one to read a page of zeros into. As many zeros are expected as the
 * last time. If there are fewer, BPF leaves the pages that find no slot to be repaired. */
static inline uint64_t paged_engine__slots_for(const struct paged_engine *paged, uint64_t pages)
{
	return (pages > paged->zeros ? pages - paged->zeros : 0) + 1;
}

#endif
