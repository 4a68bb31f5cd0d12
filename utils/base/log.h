/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Messages on stderr. stdout belongs to the traced program; nothing here writes to it.
 * Each call writes one whole line with a single write(2), so lines of several processes never mix.
 * Control characters other than tabs and inner newlines are written as '?'.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level {
	LOG_LEVEL_QUIET = 0,   /* errors only */
	LOG_LEVEL_NORMAL = 1,  /* also warnings and a few lines of information */
	LOG_LEVEL_VERBOSE = 2, /* also each step */
};

/* For the start of main(): opens /dev/null as each of the descriptors 0 to 2 that is closed.
 * Otherwise the next file that the program opens would get the messages. Programs that it executes
 * find them closed. */
void log__reserve_descriptors(void);

/* Sets what is shown from now on; LOG_LEVEL_NORMAL before the first call. */
void log__set_level(enum log_level level);
enum log_level log__level(void);

/* Sets the word before each line, at first "tracer". The string must stay valid. */
void log__set_name(const char *name);

/* An error: shown at every level. Starts with "NAME: "; red where stderr is a terminal and NO_COLOR
 * is not set. The format needs no newline at its end (newlines there are dropped). All four
 * preserve errno. */
void log__error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Something was lost, or done in another way than asked: shown unless quiet, "NAME: warning: ". */
void log__warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A line of information: shown unless quiet, "NAME: ". */
void log__info(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A step: shown when verbose, "NAME: ". */
void log__debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Draws a line that the next line or message replaces: for progress.c. Only on a terminal, and not
 * when quiet. */
void log__draw(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Erases that line, if there is one. */
void log__erase(void);

#endif
