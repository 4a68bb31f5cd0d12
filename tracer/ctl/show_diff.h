/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The answer to `tracer ctl PID diff` for people: as a table, or as a picture in a file.
 */
#ifndef TRACER_CTL_SHOW_DIFF_H
#define TRACER_CTL_SHOW_DIFF_H

#include <stdbool.h>

/* Prints a table of the mappings that have changed, with the first ranges of each. */
void show_diff__table(const char *answer);

/* Is it "-", or a name that ends in ".svg" or ".png"? */
bool show_diff__is_map(const char *path);

/* Draws the heat map: on stdout for "-". Problems are told on stderr. Returns 0 or -errno. */
int show_diff__map(const char *answer, const char *path);

#endif
