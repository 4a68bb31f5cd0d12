/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A line on stderr from inside a signal handler: no stdio, one write(2) for each line.
 */
#ifndef CKPT_SAY_H
#define CKPT_SAY_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

struct say {
	size_t length;
	char text[PATH_MAX + 512];
};

/* Begins a line with "libckpt: ". */
void say__begin(struct say *say);
/* Adds text; control characters become '?'. What does not fit is left out. */
void say__text(struct say *say, const char *text);
void say__number(struct say *say, uint64_t number);
/* Ends the line and writes it. errno is preserved. */
void say__end(struct say *say);

#endif
