/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Text out of an image, whose writer need not be trusted, for a terminal and for
 * JSON; and the names of numbers.
 */
#ifndef READCKPT_TEXT_H
#define READCKPT_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
	TEXT_INVALID = 0x7fffffff,
	TEXT_MAX = 4096, /* bytes of a string that are shown; "..." stands for the rest */
};

/*
 * The next character of a NUL-terminated string of UTF-8, and *at moves behind it. 0 at the end,
 * where *at stays; TEXT_INVALID for a byte that begins no character (RFC 3629), one at a time.
 */
uint32_t text__next(const char **at);

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

/* "rwxs" or "r--p" of the flags of an image_mapping. Returns buffer, of 5 bytes. */
const char *text__permissions(uint32_t flags, char *buffer);

/* What kind of mapping it is: "heap", "stack", "file", "anonymous", ... */
const char *text__kind(uint32_t flags);

/* The bit of image_info.missing, from 0 on, as a word for machines and as a text for people; NULL
 * beyond the last. */
const char *text__missing_key(unsigned int bit);
const char *text__missing(unsigned int bit);

/* "USR2" of 12; "RTMIN+3"; NULL if it has no name. Returns buffer, of TEXT_SIGNAL_BYTES. */
enum { TEXT_SIGNAL_BYTES = 16 };
const char *text__signal(int number, char *buffer);

/* "NOFILE" of RLIMIT_NOFILE; resource: below IMAGE_LIMITS. */
const char *text__limit(int resource);

/* Flags of open(2): "O_RDWR|O_APPEND". Returns buffer, of TEXT_FLAGS_BYTES. */
enum { TEXT_FLAGS_BYTES = 256 };
const char *text__open_flags(uint32_t flags, char *buffer);

#endif
