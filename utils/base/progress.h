/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Shows on a terminal how far long work is: one line on stderr, drawn over and over, gone at the end.
 *
 *	struct progress progress = {0};
 *
 *	for (done = 0; done < total; done++)
 *		progress__step(&progress, "checkpoint 1", done, total);
 *	progress__end(&progress);
 *
 * Nothing is shown of work that takes less than a second, where stderr is no terminal, or at the log
 * level LOG_LEVEL_QUIET. A step that draws nothing reads a clock, no more.
 */
#ifndef BASE_PROGRESS_H
#define BASE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {          /* zero-initialised: no work is under way */
	uint64_t start_ns; /* of the first step */
	uint64_t drawn_ns; /* when the line was last drawn; 0: not yet */
};

/* done of total units of work are done; the first call begins the work. total 0: unknown yet. what
 * names the work, for this call. Draws "WHAT: N %" at most five times a second. */
void progress__step(struct progress *progress, const char *what, uint64_t done, uint64_t total);

/* The work has ended: erases the line. Harmless when none is under way. */
void progress__end(struct progress *progress);

#endif
