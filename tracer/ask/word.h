/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A path as a word of a request: "%XX" stands for a byte that a word cannot have, and for '%'.
 */
#ifndef TRACER_ASK_WORD_H
#define TRACER_ASK_WORD_H

#include <stddef.h>

/* Writes text as a word. Returns 0; -ENAMETOOLONG, and what is in word is of no use. */
int word__encode(const char *text, char *word, size_t size);

/* Makes a word the text that it stands for. Returns 0, or -EINVAL: it is no such word. */
int word__decode(char *word);

#endif
