/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reads the answers of the control socket: JSON objects (RFC 8259). Text that is no JSON is safe: a
 * member is then missing.
 *
 *	json_object__is_true(answer, "ok")
 *	json_object__number(answer, "pages", &pages)
 *	for (item = json_object__items(answer, "checkpoints"); item; item = json_object__next(item))
 *		json_object__text(item, "name", name, sizeof(name))
 */
#ifndef TRACER_CTL_JSON_OBJECT_H
#define TRACER_CTL_JSON_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The member of that name is true. */
bool json_object__is_true(const char *object, const char *name);

/* The member of that name, a whole number from 0 on. False, and *ret_number untouched, if there is
 * none. */
bool json_object__number(const char *object, const char *name, uint64_t *ret_number);

/* The same; 0 if there is none. */
uint64_t json_object__number_or_0(const char *object, const char *name);

/* The member of that name, a string, without escapes, cut at size - 1 bytes. False, and ret_text
 * empty, if there is none. */
bool json_object__text(const char *object, const char *name, char *ret_text, size_t size);

/* The first item of the member of that name, an array; NULL if that is empty or there is none. */
const char *json_object__items(const char *object, const char *name);

/* The item after it; NULL behind the last. */
const char *json_object__next(const char *item);

#endif
