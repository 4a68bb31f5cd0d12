/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How far loading is, on a terminal, as base/progress.h shows it where there is a C library.
 */
#ifndef BECOME_PROGRESS_LINE_H
#define BECOME_PROGRESS_LINE_H

#include "become/plan.h"

struct progress_line {
	const struct plan *plan; /* says whether it is shown */
	uint64_t start_ns;
	uint64_t drawn_ns; /* when it was last drawn; 0: not yet */
};

void progress_line__begin(struct progress_line *line, const struct plan *plan);

/* Draws it after a second, and then five times a second. done, of plan->piece_count. */
void progress_line__step(struct progress_line *line, size_t done);

/* Erases it. */
void progress_line__end(const struct progress_line *line);

#endif
