/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See die.h.
 */
#include "become/die.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/raw_syscall.h"

enum { FAILED = 125 };

static int messages_fd = -1;

void die__set_fd(int fd)
{
	messages_fd = fd;
}

void die__add(struct die_line *line, const char *text)
{
	size_t part = strlen(text);

	if (part > sizeof(line->text) - line->length)
		part = sizeof(line->text) - line->length;
	memcpy(line->text + line->length, text, part); /* NOLINT: no string is made */
	line->length += part;
}

void die__add_number(struct die_line *line, unsigned long number)
{
	char digits[24];
	char *at = digits + sizeof(digits) - 1;

	*at = '\0';
	do {
		*--at = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	die__add(line, at);
}

void die__write(const struct die_line *line)
{
	(void)raw_syscall__call(SYS_write, (uint64_t)messages_fd, (uintptr_t)line->text,
				line->length, 0);
}

void die__warn(const char *text)
{
	struct die_line line;

	line.length = 0;
	die__add(&line, "restart: warning: ");
	die__add(&line, text);
	die__add(&line, "\n");
	die__write(&line);
}

void die__of(const char *what, int err)
{
	die__about(NULL, what, err);
}

void die__about(const char *subject, const char *what, int err)
{
	const char *reason = err ? strerrordesc_np(-err) : NULL;
	struct die_line line;

	line.length = 0;
	die__add(&line, "restart: ");
	if (subject) {
		die__add(&line, subject);
		die__add(&line, ": ");
	}
	die__add(&line, what);
	if (reason) {
		die__add(&line, ": ");
		die__add(&line, reason);
	}
	die__add(&line, "\n");
	die__write(&line);
	_exit(FAILED);
}

void die__unless(long result, const char *what)
{
	if (result < 0)
		die__of(what, -errno);
}
