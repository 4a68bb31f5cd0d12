/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The pages that this process has written, as a tracer lists them (pages/shared_list.h). The
 * library asks the tracer of its own process for the list, over the control socket.
 *
 *	listed_pages__open     before pages are armed
 *	listed_pages__look     a rollback begins: where does the list end?
 *	listed_pages__read     what was written since the rollback before
 *	listed_pages__settle   all that is done: a round begins
 *
 * The system calls of the library itself, from look to settle, are no signs. What others do in that
 * time counts in the next round.
 */
#ifndef ROLLBACK_LISTED_PAGES_H
#define ROLLBACK_LISTED_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pages/shared_list.h"

struct listed_pages {
	const struct shared_list *list; /* NULL: there is none */
	uint64_t ends;                  /* of the list, when it began */
	uint64_t writes, signs, calls;  /* of the list, when the round began */
	uint64_t end, end_signs;        /* its writes and signs, at the last look */
	/* Entries before it were made in the last rollback, which may have put back their pages. */
	uint64_t unsure;
};

/*
 * Asks for a list, maps it, and tries it: it must have writes of this process, and count calls that
 * may have written without a fault. room: page-aligned memory of the caller, of the size of struct
 * shared_list, which the list replaces.
 * Returns 0; -EOPNOTSUPP if the list does not work; or another -errno if no tracer gives one. On
 * failure there is no list.
 */
int listed_pages__open(struct listed_pages *listed, uint64_t room);

/* Tells the tracer, if it is still there, that nobody reads the list any more. */
void listed_pages__close(struct listed_pages *listed);

/* Has the list come to its end? */
bool listed_pages__is_over(const struct listed_pages *listed);

/* Notes where the list ends now. Returns whether it has all writes of the round. */
bool listed_pages__look(struct listed_pages *listed);

/*
 * The addresses of the pages that were written in the round, in ascending order, each once. If bit
 * 0 of one is set, the page may be clean. pages: room for SHARED_LIST_PAGES.
 * Returns 0 and *ret_count, or -EOVERFLOW if entries were overwritten meanwhile.
 */
int listed_pages__read(const struct listed_pages *listed, uint64_t *pages, size_t *ret_count);

/* Begins a round. What has happened since look belongs to it. Harmless if there is no list. */
void listed_pages__settle(struct listed_pages *listed);

#endif
