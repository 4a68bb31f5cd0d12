/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See say.h.
 */
#include "ckpt/say.h"

#include <errno.h>
#include <unistd.h>

#include "ckpt/bare.h"

void say__begin(struct say *say)
{
	say->length = 0;
	say__text(say, "libckpt: ");
}

void say__text(struct say *say, const char *text)
{
	for (; *text && say->length + 1 < sizeof(say->text); text++) {
		unsigned char c = (unsigned char)*text;

		say->text[say->length++] = (char)(c < ' ' || c == 127 ? '?' : c);
	}
}

void say__number(struct say *say, uint64_t number)
{
	char digits[24];
	size_t i = sizeof(digits) - 1;

	digits[i] = '\0';
	do {
		digits[--i] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	say__text(say, digits + i);
}

void say__end(struct say *say)
{
	int kept = errno;

	say->text[say->length++] = '\n';
	if (bare__write(STDERR_FILENO, say->text, say->length) < 0)
		errno = kept; /* nobody is there to be told */
	errno = kept;
}
