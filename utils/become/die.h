/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Saying something, and giving up, without the C library.
 */
#ifndef BECOME_DIE_H
#define BECOME_DIE_H

#include <limits.h>
#include <stddef.h>

enum { DIE_LINE_BYTES = PATH_MAX + 256 };

/* A line that is put together. What does not fit is cut off. */
struct die_line {
	char text[DIE_LINE_BYTES];
	size_t length;
};

/* From now on messages go to this file; -1: nowhere. */
void die__set_fd(int fd);

void die__add(struct die_line *line, const char *text);
/* Adds a number in decimal. */
void die__add_number(struct die_line *line, unsigned long number);
/* Writes the line as it is. */
void die__write(const struct die_line *line);

/* Says "restart: warning: TEXT". */
void die__warn(const char *text);

/* Says "restart: WHAT", and why if err, a -errno, is not 0; exits with 125. */
__attribute__((noreturn)) void die__of(const char *what, int err);

/* The same for "restart: SUBJECT: WHAT". */
__attribute__((noreturn)) void die__about(const char *subject, const char *what, int err);

/* Dies of errno if the result of a system call is negative. */
void die__unless(long result, const char *what);

#endif
