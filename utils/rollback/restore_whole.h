/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Zones that are whole: nobody looks for their written pages, and all pages are copied back. That
 * takes less time if much of a zone is written in each round, or if it is small.
 */
#ifndef ROLLBACK_RESTORE_WHOLE_H
#define ROLLBACK_RESTORE_WHOLE_H

#include "rollback/checkpoint.h"

/* Puts back a zone that is whole. Returns false if it is to be tracked again: it is changed then,
 * so that all its pages are compared. */
bool restore_whole__restore(struct rollback *r, struct zone *z);

/* A zone was tracked in this round. Makes it whole if that took more time in several rounds. */
void restore_whole__judge(struct rollback *r, struct zone *z);

#endif
