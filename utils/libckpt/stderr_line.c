/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See stderr_line.h.
 */
#include "libckpt/stderr_line.h"

#include <errno.h>
#include <unistd.h>

#include "base/nocancel.h"

void stderr_line__begin(struct stderr_line *say)
{
	say->length = 0;
	stderr_line__text(say, "libckpt: ");
}

void stderr_line__text(struct stderr_line *say, const char *text)
{
	for (; *text && say->length + 1 < sizeof(say->text); text++) {
		unsigned char c = (unsigned char)*text;

		say->text[say->length++] = (char)(c < ' ' || c == 127 ? '?' : c);
	}
}

void stderr_line__number(struct stderr_line *say, uint64_t number)
{
	char digits[24];
	size_t i = sizeof(digits) - 1;

	digits[i] = '\0';
	do {
		digits[--i] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	stderr_line__text(say, digits + i);
}

void stderr_line__end(struct stderr_line *say)
{
	int kept = errno;

	say->text[say->length++] = '\n';
	if (nocancel__write(STDERR_FILENO, say->text, say->length) < 0)
		errno = kept; /* nobody is there to be told */
	errno = kept;
}
