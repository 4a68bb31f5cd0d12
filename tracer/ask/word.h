/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A path as a word of a request: "%XX" stands for a byte that a word cannot have, and for '%'.
 */
#ifndef TRACER_ASK_WORD_H
#define TRACER_ASK_WORD_H

#include <stddef.h>

/* Writes text as a word. Returns 0, or -ENAMETOOLONG: word then holds nothing of use. */
int word__encode(const char *text, char *word, size_t size);

/* Decodes a word in its place. Returns 0, or -EINVAL if it is malformed. */
int word__decode(char *word);

#endif
