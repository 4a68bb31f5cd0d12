/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reads the answers of the control socket: JSON objects (RFC 8259). Text that is no
 * JSON is safe: a member is then missing.
 *
 *	answer__is_true(answer, "ok")
 *	answer__number(answer, "pages", &pages)
 *	for (item = answer__items(answer, "checkpoints"); item; item = answer__next(item))
 *		answer__text(item, "name", name, sizeof(name))
 */
#ifndef TRACER_CTL_ANSWER_H
#define TRACER_CTL_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The member of that name is true. */
bool answer__is_true(const char *object, const char *name);

/* The member of that name, a whole number from 0 on. False, and *ret_number untouched, if there is
 * none. */
bool answer__number(const char *object, const char *name, uint64_t *ret_number);

/* The member of that name, a string, without escapes, cut at size - 1 bytes. False, and ret_text
 * empty, if there is none. */
bool answer__text(const char *object, const char *name, char *ret_text, size_t size);

/* The first item of the member of that name, an array; NULL if that is empty or there is none. */
const char *answer__items(const char *object, const char *name);

/* The item after it; NULL behind the last. */
const char *answer__next(const char *item);

#endif
