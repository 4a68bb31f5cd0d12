/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One checkpoint, and the list of them, oldest first.
 */
#ifndef TRACER_ATTACH_CHECKPOINT_H
#define TRACER_ATTACH_CHECKPOINT_H

#include <stdbool.h>
#include "attach/attach_result.h"
#include "store/dense_blocks.h"
#include "attach/layout.h"
#include "attach/open_files.h"
#include "store/page_tree.h"
#include "base/intervals.h"
#include "base/procfs.h"
#include "target/registered.h"
#include "target/registers.h"
#include "target/threads.h"

struct checkpoint {
	struct checkpoint *next;
	char name[ATTACH_NAME_BYTES];
	uint64_t time_ns; /* CLOCK_REALTIME */
	struct threads threads;
	struct registers *registers;   /* of each of them */
	struct registered *registered; /* by each of them */
	uint64_t registrations;        /* counted until then; 0: they are not counted */
	struct mappings mappings;
	struct layout_ranges ranges; /* of the mappings */
	struct open_files files;
	struct intervals guards; /* pages that nobody can use (MADV_GUARD_INSTALL) */
	struct page_tree tree;   /* no page: it is zeros, or that of the file */
	/* ---- once they were looked for ---- */
	bool knows_own, knows_dense;
	struct intervals own;      /* pages of ranges.files that are in the tree */
	struct dense_blocks dense; /* of ranges.anonymous */
};

/* An empty one; or NULL: there is no memory. store: borrowed. */
struct checkpoint *checkpoint__create(struct page_store *store);

/* Find own and dense, unless they are known. Each look for changed pages needs own; dense makes a
 * scan of all memory faster. The tree does not change from now on. Return 0 or -ENOMEM. */
int checkpoint__find_own(struct checkpoint *checkpoint);
int checkpoint__find_dense(struct checkpoint *checkpoint);

/* checkpoint__free(NULL) is harmless. */
void checkpoint__free(struct checkpoint *checkpoint);

struct checkpoints { /* zero-initialised: empty */
	struct checkpoint *first;
	uint32_t count;
};

/* Is it a name as attach__checkpoint() takes it? */
bool checkpoints__is_name(const char *name);

/* Writes the lowest number that is not a name yet. */
void checkpoints__next_name(const struct checkpoints *list, char name[ATTACH_NAME_BYTES]);

/* The one of that name, or NULL. name: NULL is the newest. */
struct checkpoint *checkpoints__find(const struct checkpoints *list, const char *name);

/* Adds it as the newest; the list owns it. */
void checkpoints__add(struct checkpoints *list, struct checkpoint *checkpoint);

/* Takes it out of the list; the caller owns it. Harmless if it is not in the list. */
void checkpoints__remove(struct checkpoints *list, struct checkpoint *checkpoint);

/* Frees all; harmless on an empty list. */
void checkpoints__clear(struct checkpoints *list);

#endif
