/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Text whose writer need not be trusted, for a terminal and for JSON; sizes and times for people.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdint.h>
#include <stdio.h>

enum {
	TEXT_MAX = 4096, /* bytes of a string that are shown; "..." stands for the rest */
};

/* Writes text so that it cannot steer a terminal: '?' for what is no UTF-8, and for each control
 * character. */
void text__put(FILE *out, const char *text);

/* The same as the inside of a JSON string: escapes, and U+FFFD for what is no UTF-8. */
void text__put_json(FILE *out, const char *text);

/* A number of bytes for people: "23 B", "1.5 MiB". Returns buffer, of TEXT_SIZE_BYTES. */
enum { TEXT_SIZE_BYTES = 32 };
const char *text__size(uint64_t bytes, char *buffer);

/* UTC: "2026-11-21T12:30:25Z". Returns buffer, of TEXT_TIME_BYTES; "" if there is no such time. */
enum { TEXT_TIME_BYTES = 40 };
const char *text__time(uint64_t ns, char *buffer);

#endif
