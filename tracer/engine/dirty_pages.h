/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which pages of the target may differ from the snapshot, found without reading them all. Private
 * anonymous memory is armed when it is saved. A later question has two answers:
 *
 *	saved:    |a a a a a a a a|   a: armed         |c c|   c: cannot be armed
 *	written:       |w|                             |c c|   hold data, and may differ
 *	missing:             |m|                              known to the snapshot, without data
 *
 * Always holds: a page is left out only if the kernel says that it is there, armed, and not written
 * since. So a page that was given back, replaced, or never armed is in an answer. A page that is
 * left out is as it was when it was last armed. The caller arms pages when they equal the snapshot,
 * or before they are saved.
 */
#ifndef TRACER_ENGINE_DIRTY_PAGES_H
#define TRACER_ENGINE_DIRTY_PAGES_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/types.h>
#include "tracer.h"
#include "base/intervals.h"
#include "engine/dirty_way.h"
#include "kernel/fault_list.h"
#include "pages/write_tracking.h"
#include "target/target.h"

struct dirty_pages {
	enum dirty_way wish;
	enum dirty_way way;      /* DIRTY_AUTO: not decided yet */
	enum dirty_way found_by; /* the way of the last answer */
	const struct hooks *hooks;
	struct write_tracking tracking;
	struct intervals armed;
	struct intervals refused;          /* what the kernel would not register */
	struct intervals written, missing; /* the last answer */
	struct fault_list *list;           /* NULL: not wanted, or not there */
	struct fault_mark mark;            /* where the list ended at the last question */
	struct intervals unarmed; /* pages of armed that were found written, and not armed since */
	uint64_t *pages;          /* room for an answer of the list */
	bool sure; /* the list from the mark on, and unarmed, have all pages that may differ */
};

/* Begins with nothing armed. hooks: borrowed; with the list of faults if the wish needs it. */
void dirty_pages__init(struct dirty_pages *dirty, enum dirty_way wish, const struct hooks *hooks);

/* Decides on the way for so many pages, and gets what it needs from the target. No thread of that
 * may be held. Done once for each program that the target executes. Where nothing works the way is
 * DIRTY_COMPARE, which a message says. */
void dirty_pages__choose(struct dirty_pages *dirty, struct target *target, uint64_t pages);

/* Does the way spare reading pages? False before dirty_pages__choose. */
static inline bool dirty_pages__is_tracking(const struct dirty_pages *dirty)
{
	return dirty->way == DIRTY_FAULTS || dirty->way == DIRTY_SCAN || dirty->way == DIRTY_SOFT;
}

/* Must the target stand still from a question until its pages are armed? If not, only a page that
 * was in the answer is armed, and no write is lost. */
static inline bool dirty_pages__needs_stop(const struct dirty_pages *dirty)
{
	return dirty->way == DIRTY_SOFT;
}

/* A snapshot of everything begins: no page is unarmed, and the list of faults counts from here. */
void dirty_pages__begin(struct dirty_pages *dirty);

/* The target may have run at the last question, or while its pages were armed. A write that was
 * just then trapped may be in no list. So the next question is not answered by the list. */
static inline void dirty_pages__doubt(struct dirty_pages *dirty)
{
	dirty->sure = false;
}

/* Arms everything of ranges that can be armed, and nothing else any more. What is armed already
 * stays as it is. The mappings that memory knows must be those of now. With soft-dirty bits it only
 * says what is to be armed: dirty_pages__arm does it. anew: what the kernel has refused is tried
 * again. Some kernels count that as a change of mappings, and the checkpoint begins again: it must
 * not be tried each time. 0, -ENOMEM or -ESRCH. */
int dirty_pages__cover(struct dirty_pages *dirty, struct memory *memory,
		       const struct intervals *ranges, bool anew);

/*
 * Finds the pages of saved that may differ, as drawn above, and sets written and missing. known:
 * the pages of saved that the snapshot has. 0; -ENOMEM; -ESRCH; -errno: the answer is then empty.
 */
int dirty_pages__ask(struct dirty_pages *dirty, struct memory *memory,
		     const struct intervals *saved, const struct intervals *known);

/* The same answer where nothing is tracked: the pages of saved that hold data, and the pages of
 * known that hold none any more. */
int dirty_pages__ask_nobody(struct dirty_pages *dirty, struct memory *memory,
			    const struct intervals *saved, const struct intervals *known);

/* Arms these pages again, where they can be armed; with soft-dirty bits, all pages of the target.
 * spared: NULL if the target may have run since the question. If it has not, pages between two of
 * these may be armed as well, which takes fewer calls, but not those of spared.
 * 0; -ENOMEM; -ESRCH or another -errno: with soft-dirty bits, nothing is armed then. */
int dirty_pages__arm(struct dirty_pages *dirty, struct memory *memory,
		     const struct intervals *pages, const struct intervals *spared);

/* [start, end) has another mapping now, or none. 0 or -ENOMEM. */
int dirty_pages__drop(struct dirty_pages *dirty, uint64_t start, uint64_t end);

/* Disarms everything; the way is to be chosen again. Harmless twice. */
void dirty_pages__forget(struct dirty_pages *dirty);

/* Disarms all for good, for somebody else arms pages of the target: every page may differ. */
void dirty_pages__leave(struct dirty_pages *dirty);

/* Disarms everything, and frees what it holds. Before the hooks are freed. Harmless on a zeroed
 * struct. */
void dirty_pages__close(struct dirty_pages *dirty);

#endif
