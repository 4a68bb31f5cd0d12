/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The pages that a rollback writes and clears, of a process that stands still. All memory that is
 * needed is found before the first byte is written.
 *
 *	W: pages to be written   (written ∪ different from base ∪ mapped again) that are saved
 *	C: pages to be cleared   (those with data ∪ different from base) that are not saved
 *	U: guards to be removed  those of now, unless they are mapped again, that are not saved
 *	G: guards to be made     those that are saved, unless they are still there
 */
#ifndef TRACER_ATTACH_ROLLBACK_PAGES_H
#define TRACER_ATTACH_ROLLBACK_PAGES_H

#include "attach/attach_state.h"
#include "attach/layout.h"
#include "target/write_batch.h"

struct rseq;

struct rollback_pages { /* zero-initialised: empty */
	struct attach *attach;
	struct checkpoint *to;
	struct intervals write;   /* W; first with pages that are not saved */
	struct intervals clear;   /* C; likewise */
	struct intervals discard; /* of C: what the process discards by a call */
	struct intervals touched; /* of both: what is written */
	struct intervals unguard; /* U */
	struct intervals guard;   /* G */
	struct write_batch batch;
	struct rseq *areas;        /* of the threads of the checkpoint */
	struct iovec *area_local;  /* what has been read of areas, */
	struct iovec *area_remote; /* and from where */
	size_t area_count;         /* of these two */
	uint8_t *zeros;            /* a page */
	uint64_t count;            /* that are written */
};

/* Finds them. attach->changes are of now. change: of the mappings, before the pages are written.
 * fresh: what it maps. Returns 0 or -errno. */
int rollback_pages__find(struct rollback_pages *pages, struct attach *attach, struct checkpoint *to,
			 const struct layout_change *change, const struct intervals *fresh);

/* Is each page that is written to a mapping of a file still within that file? now: the mappings;
 * fresh: what is mapped again. Returns 0, or -REASON_FILE_CUT with attach->detail. */
int rollback_pages__check_files(const struct rollback_pages *pages, const struct mappings *now,
				const struct intervals *fresh);

/* Adds the saved pages and guards of ranges that were mapped again after all. Returns 0 or
 * -ENOMEM. */
int rollback_pages__add(struct rollback_pages *pages, const struct intervals *ranges);

/* Writes all but what a call does: discard, unguard, guard. Returns 0 or -errno: then some may have
 * been written. */
int rollback_pages__write(struct rollback_pages *pages);

/* Frees what it holds; harmless on an empty one. */
void rollback_pages__clear(struct rollback_pages *pages);

#endif
