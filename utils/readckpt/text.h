/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The names of numbers in an image.
 */
#ifndef READCKPT_TEXT_H
#define READCKPT_TEXT_H

#include <stdint.h>
#include "base/text.h"

/* "rwxs" or "r--p" of the flags of an image_mapping. Returns buffer, of 5 bytes. */
const char *text__permissions(uint32_t flags, char *buffer);

/* What kind of mapping it is: "heap", "stack", "file", "anonymous", ... */
const char *text__kind(uint32_t flags);

/* What was said of a mapping, as IMAGE_ADVICE_... : "wipe on fork, locked"; "" for nothing. Returns
 * buffer, of TEXT_ADVICE_BYTES. */
enum { TEXT_ADVICE_BYTES = 160 };
const char *text__advice(uint32_t advice, char *buffer);

/* The bit of image_info.missing, from 0 on, as a word for machines and as a text for people; NULL
 * beyond the last. */
const char *text__missing_key(unsigned int bit);
const char *text__missing(unsigned int bit);

/* "USR2" of 12; "RTMIN+3"; NULL if it has no name. Returns buffer, of TEXT_SIGNAL_BYTES. */
enum { TEXT_SIGNAL_BYTES = 16 };
const char *text__signal(int number, char *buffer);

/* "NOFILE" of RLIMIT_NOFILE; resource: below IMAGE_LIMITS. */
const char *text__limit(int resource);

/* "FIFO" of SCHED_FIFO, "OTHER" of 0; "other" of what is not known. */
const char *text__policy(uint32_t policy);

/* Flags of open(2): "O_RDWR|O_APPEND". Returns buffer, of TEXT_FLAGS_BYTES. */
enum { TEXT_FLAGS_BYTES = 256 };
const char *text__open_flags(uint32_t flags, char *buffer);

#endif
