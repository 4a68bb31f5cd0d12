/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See word.h.
 */
#include "ask/word.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int word__encode(const char *text, char *word, size_t size)
{
	size_t used = 0;

	for (; *text; text++) {
		const unsigned char byte = (unsigned char)*text;

		if (used + 4 > size)
			return -ENAMETOOLONG;
		if (byte > ' ' && byte <= '~' && byte != '%')
			word[used++] = (char)byte;
		else
			used += (size_t)snprintf(word + used, size - used, "%%%02X", byte);
	}
	word[used] = '\0';
	return 0;
}

int word__decode(char *word)
{
	char *to = word;

	for (; *word; word++) {
		if (*word == '%') {
			char digits[3] = "", *end;

			digits[0] = word[1];
			if (word[1])
				digits[1] = word[2];
			if (!isxdigit((unsigned char)digits[0]) ||
			    !isxdigit((unsigned char)digits[1]))
				return -EINVAL;
			*to = (char)strtoul(digits, &end, 16);
			if (!*to)
				return -EINVAL;
			to++;
			word += 2;
		} else {
			*to++ = *word;
		}
	}
	*to = '\0';
	return 0;
}
