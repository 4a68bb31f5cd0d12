/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Numbers from users: the whole string must be a number, and in a range.
 */
#ifndef BASE_PARSE_H
#define BASE_PARSE_H

#include <stdint.h>

/*
 * Reads text (a NUL-terminated decimal number, or hexadecimal after 0x; no sign, no blanks, no
 * suffix) into *ret_value.
 * Returns 0; -EINVAL if text is NULL, empty or not wholly a number; -ERANGE if it is a number
 * outside [min, max]. *ret_value is untouched on failure.
 */
int parse__u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value);

#endif
