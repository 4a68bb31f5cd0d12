/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See stderr_line.h.
 */
#include "libckpt/stderr_line.h"

#include <errno.h>
#include <unistd.h>

#include "base/nocancel.h"

void stderr_line__begin(struct stderr_line *line)
{
	line->length = 0;
	stderr_line__text(line, "libckpt: ");
}

void stderr_line__text(struct stderr_line *line, const char *text)
{
	for (; *text && line->length + 1 < sizeof(line->text); text++) {
		unsigned char c = (unsigned char)*text;

		line->text[line->length++] = (char)(c < ' ' || c == 127 ? '?' : c);
	}
}

void stderr_line__number(struct stderr_line *line, uint64_t number)
{
	char digits[24];
	size_t i = sizeof(digits) - 1;

	digits[i] = '\0';
	do {
		digits[--i] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	stderr_line__text(line, digits + i);
}

void stderr_line__end(struct stderr_line *line)
{
	int kept = errno;

	line->text[line->length++] = '\n';
	if (nocancel__write(STDERR_FILENO, line->text, line->length) < 0)
		errno = kept; /* there is nobody to tell */
	errno = kept;
}
