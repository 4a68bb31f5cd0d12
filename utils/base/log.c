/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Messages on stderr, see log.h. A line is built in memory and written with one write(2).
 * Always holds: errno is preserved, and text of a message never controls the terminal (names of
 * files and processes come from people we need not trust).
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COLOUR_RED "\033[31m"
#define COLOUR_OFF "\033[0m"
#define ERASE_LINE "\r\033[K"

static enum log_level shown_level = LOG_LEVEL_NORMAL;
static const char *line_name = "tracer";
static bool is_drawn; /* a line without its newline is on the terminal */

void log__reserve_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd < STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

void log__set_level(enum log_level level)
{
	shown_level = level;
}

enum log_level log__level(void)
{
	return shown_level;
}

void log__set_name(const char *name)
{
	line_name = name;
}

/* Keeps tabs and newlines inside a message, such as a verifier log; drops newlines at its end. */
static void clean_text(char *text)
{
	size_t length = strlen(text);

	while (length > 0 && text[length - 1] == '\n')
		text[--length] = '\0';
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];

		if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
			text[i] = '?';
	}
}

static void write_all(const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t n = write(STDERR_FILENO, bytes, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* stderr is closed or full: nobody is left to tell */
		bytes += n;
		length -= (size_t)n;
	}
}

static bool use_colour(void)
{
	const char *no_color = getenv("NO_COLOR"); /* https://no-color.org: set and not empty */

	return (!no_color || !*no_color) && isatty(STDERR_FILENO);
}

static void write_line(const char *kind, bool coloured, const char *format, va_list args)
{
	static const char fallback[] = "(a message was lost: out of memory)\n";
	int saved_errno = errno;
	char *text = NULL, *line = NULL;
	int length;

	coloured = coloured && use_colour();
	errno = saved_errno; /* for a %m in the format */
	if (vasprintf(&text, format, args) < 0) {
		text = NULL;
		write_all(fallback, sizeof(fallback) - 1);
		goto out;
	}
	clean_text(text);
	length = asprintf(&line, "%s%s%s: %s%s%s\n", is_drawn ? ERASE_LINE : "",
			  coloured ? COLOUR_RED : "", line_name, kind, text,
			  coloured ? COLOUR_OFF : "");
	if (length < 0) {
		line = NULL;
		write_all(fallback, sizeof(fallback) - 1);
		goto out;
	}
	write_all(line, (size_t)length);
	is_drawn = false;
out:
	free(line);
	free(text);
	errno = saved_errno;
}

void log__error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	write_line("", true, format, args);
	va_end(args);
}

void log__warn(const char *format, ...)
{
	va_list args;

	if (shown_level < LOG_LEVEL_NORMAL)
		return;
	va_start(args, format);
	write_line("warning: ", false, format, args);
	va_end(args);
}

void log__info(const char *format, ...)
{
	va_list args;

	if (shown_level < LOG_LEVEL_NORMAL)
		return;
	va_start(args, format);
	write_line("", false, format, args);
	va_end(args);
}

void log__debug(const char *format, ...)
{
	va_list args;

	if (shown_level < LOG_LEVEL_VERBOSE)
		return;
	va_start(args, format);
	write_line("", false, format, args);
	va_end(args);
}

void log__draw(const char *format, ...)
{
	char text[256], line[sizeof(text) + 64];
	va_list args;
	int length;

	if (shown_level < LOG_LEVEL_NORMAL || !isatty(STDERR_FILENO))
		return;
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	clean_text(text);
	length = snprintf(line, sizeof(line), ERASE_LINE "%.32s: %s", line_name, text);
	write_all(line, (size_t)length);
	is_drawn = true;
}

void log__erase(void)
{
	if (is_drawn)
		write_all(ERASE_LINE, strlen(ERASE_LINE));
	is_drawn = false;
}
