/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Numbers from users, see parse.h. Not read with strtoull(3), which accepts leading blanks, signs
 * ("-1" becomes 2^64 - 1) and trailing text.
 */
#include "base/parse.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

/* The value of a digit in base, or -1. No ctype(3): its answers depend on the locale. */
static int digit_value(char c, unsigned int base)
{
	int value = -1;

	if (c >= '0' && c <= '9')
		value = c - '0';
	else if (c >= 'a' && c <= 'f')
		value = c - 'a' + 10;
	else if (c >= 'A' && c <= 'F')
		value = c - 'A' + 10;
	return value < (int)base ? value : -1;
}

int parse__u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
{
	unsigned int base = 10;
	uint64_t value = 0;
	bool too_big = false;

	if (!text)
		return -EINVAL;
	if (text[0] == '0' && text[1] == 'x') {
		base = 16;
		text += 2;
	}
	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		int digit = digit_value(*text, base);

		if (digit < 0)
			return -EINVAL;
		/* Go on after an overflow: "99999999999999999999z" is no number at all. */
		if (__builtin_mul_overflow(value, base, &value) ||
		    __builtin_add_overflow(value, (uint64_t)digit, &value))
			too_big = true;
	}
	if (too_big || value < min || value > max)
		return -ERANGE;
	*ret_value = value;
	return 0;
}
