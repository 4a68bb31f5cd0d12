/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Shows the progress of long work on a terminal: one line on stderr, redrawn, and erased at the
 * end.
 *
 *	struct progress progress = {0};
 *
 *	for (done = 0; done < total; done++)
 *		progress__step(&progress, "checkpoint 1", done, total);
 *	progress__end(&progress);
 *
 * Nothing is shown during the first second, where stderr is no terminal, or at LOG_LEVEL_QUIET. A
 * step that draws nothing only reads a clock.
 */
#ifndef BASE_PROGRESS_H
#define BASE_PROGRESS_H

#include <stdint.h>

struct progress {          /* zero-initialised: no work is under way */
	uint64_t start_ns; /* of the first step */
	uint64_t drawn_ns; /* when the line was last drawn; 0: not yet */
};

/* Tells that done of total units are done. The first call begins the work. total: 0 if not known.
 * what: names the work; borrowed for the call. Draws "WHAT: N %", or the seconds so far without a
 * total, at most five times a second. */
void progress__step(struct progress *progress, const char *what, uint64_t done, uint64_t total);

/* The work has ended: erases the line. Harmless when none is under way. */
void progress__end(struct progress *progress);

#endif
