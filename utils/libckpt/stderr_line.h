/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A line on standard error, by one write(2). Usable inside a signal handler.
 */
#ifndef LIBCKPT_STDERR_LINE_H
#define LIBCKPT_STDERR_LINE_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

struct stderr_line {
	size_t length;
	char text[PATH_MAX + 512];
};

/* Begins a line with "libckpt: ". */
void stderr_line__begin(struct stderr_line *line);
/* Adds text; control characters become '?'. What does not fit is left out. */
void stderr_line__text(struct stderr_line *line, const char *text);
void stderr_line__number(struct stderr_line *line, uint64_t number);
/* Ends the line and writes it. errno is preserved. */
void stderr_line__end(struct stderr_line *line);

#endif
