/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Puts back pages of a region: stored ones are copied, others emptied. Pages that are written in
 * most rounds are hot: they are left unarmed.
 */
#ifndef ROLLBACK_RESTORE_PAGES_H
#define ROLLBACK_RESTORE_PAGES_H

#include "rollback/checkpoint.h"

/* Copies a page, or clears it if from is 0, but for the bytes that are excluded. */
void restore_pages__copy(struct rollback *r, struct region *g, const struct page *page, uint64_t at,
			 uint64_t from);

/* Puts back a stored page that may have been written; compare: it need not have been. Returns
 * whether it is to stay unarmed. */
bool restore_pages__put_back(struct rollback *r, struct region *g, uint64_t at, bool compare);

/* Notes that the pages of [start, end) are to be armed: they hold data, and are clean again. A call
 * for two such runs with a gap between them costs less than two calls. */
void restore_pages__rearm(struct rollback *r, struct region *g, uint64_t start, uint64_t end);

/* Arms what was noted. To be called before pages of another region are noted. */
void restore_pages__flush(struct rollback *r, struct region *g);

/* Was a page of [start, end) stored? */
bool restore_pages__has_stored(const struct rollback *r, uint64_t start, uint64_t end);

/* Pages that hold data, and may have been written. */
void restore_pages__restore_data(struct rollback *r, struct region *g,
				 const struct pagemap_run *run, bool compare);

/* What a run of a walk tells about the pages of one region. all: the walk has returned all pages.
 * The walk asked for the categories of write tracking, and for those of more_categories. */
void restore_pages__restore_run(struct rollback *r, struct region *g, const struct pagemap_run *run,
				bool all);
uint64_t restore_pages__more_categories(const struct rollback *r, const struct region *g);

/* A region's protection is again as it was. */
void restore_pages__close_region(struct region *g);

#endif
