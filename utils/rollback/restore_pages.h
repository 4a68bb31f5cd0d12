/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Puts back pages of a zone: stored ones are copied, others emptied. Pages that are written in
 * most rounds are hot: they are left unarmed.
 */
#ifndef ROLLBACK_RESTORE_PAGES_H
#define ROLLBACK_RESTORE_PAGES_H

#include "rollback/checkpoint.h"

/* Copies a page, or clears it if from is 0, but for the bytes that are excluded. */
void restore_pages__copy(struct rollback *r, struct zone *z, const struct page *page, uint64_t at,
			 uint64_t from);

/* Empties a page that had none of our own, but for the bytes that are excluded. One of a file then
 * has the bytes of the file, which show when it is given back to the kernel. */
void restore_pages__empty(struct rollback *r, struct zone *z, const struct page *page, uint64_t at);

/* Puts back a stored page that was written. compare: it may be clean, so it is compared first.
 * Returns whether it is to stay unarmed. */
bool restore_pages__put_back(struct rollback *r, struct zone *z, uint64_t at, bool compare);

/* Notes that the pages of [start, end) are to be armed: they hold data, and are clean again. One
 * call that arms two such runs and the gap between them takes less time than two calls. */
void restore_pages__rearm(struct rollback *r, struct zone *z, uint64_t start, uint64_t end);

/* Arms what was noted. To be called before pages of another zone are noted. */
void restore_pages__flush(struct rollback *r, struct zone *z);

/* Was a page of [start, end) stored? */
bool restore_pages__has_stored(const struct rollback *r, uint64_t start, uint64_t end);

/* Puts back the pages of a run, which hold data and were written. compare: some may be clean. */
void restore_pages__restore_data(struct rollback *r, struct zone *z, const struct pagemap_run *run,
				 bool compare);

/* Puts back the pages of a run of a walk, which lies in one zone. all: the walk returns all
 * pages, clean ones too. It must ask for the categories of write tracking and more_categories. */
void restore_pages__restore_run(struct rollback *r, struct zone *z, const struct pagemap_run *run,
				bool all);
uint64_t restore_pages__more_categories(const struct rollback *r, const struct zone *z);

/* Sets a zone's protection as it was. */
void restore_pages__close_zone(struct zone *z);

#endif
