/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Talk on stderr. stdout belongs to the traced program; nothing here ever writes to it.
 * Each call writes one whole line with a single write(2), so lines of several processes never mix.
 * Control characters in a message, but tabs and inner newlines, come out as '?'.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level {
	LOG_LEVEL_QUIET = 0,   /* errors only */
	LOG_LEVEL_NORMAL = 1,  /* and warnings, and the few lines everybody wants */
	LOG_LEVEL_VERBOSE = 2, /* and what happens step by step */
};

/* Sets what is shown from now on; LOG_LEVEL_NORMAL before the first call. */
void log__set_level(enum log_level level);
enum log_level log__level(void);

/* Sets the word before each line, at first "tracer". The string must stay valid. */
void log__set_name(const char *name);

/* An error: shown at every level. Starts with "NAME: "; in red where stderr is a terminal and
 * NO_COLOR is not set. The format has no newline at its end (one that is there is dropped). errno
 * is preserved by all four. */
void log__error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Something lost or done another way than asked: shown unless quiet, "NAME: warning: ". */
void log__warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A line of information: shown unless quiet, "NAME: ". */
void log__info(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A step: shown when verbose, "NAME: ". */
void log__debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Draws a line that the next one, or the next message, takes the place of: for progress.c. Only on a
 * terminal, and not when quiet. */
void log__draw(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Erases that line, if there is one. */
void log__erase(void);

#endif
