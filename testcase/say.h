/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How a program whose memory is rolled back says something: without stdio and the heap,
 * which would be rolled back as well.
 */
#ifndef TESTCASE_SAY_H
#define TESTCASE_SAY_H

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

/* Writes to stdout at once. */
static inline void __attribute__((format(printf, 1, 2))) say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vdprintf(STDOUT_FILENO, format, arguments);
	va_end(arguments);
}

#endif
