/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The Test Anything Protocol for unit tests: a plan, one line for each test, a status at the end. A
 * program includes it once, calls tap__plan(N), runs N tests and returns tap__done() from main.
 * Always holds: a line is written when its test ends, so a crash loses none and a fork repeats
 * none. A run that does not match the plan is a failure.
 */
#ifndef UNIT_TAP_H
#define UNIT_TAP_H

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
	unsigned int planned, run, failed;
} tap;

/* Says how many tests will run. */
static inline void tap__plan(unsigned int count)
{
	tap.planned = count;
	printf("1..%u\n", count);
	(void)fflush(stdout);
}

/* A line for the reader that is no test. */
__attribute__((format(printf, 1, 2))) static inline void tap__note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)fputs("# ", stdout);
	vprintf(format, args);
	(void)fputc('\n', stdout);
	(void)fflush(stdout);
	va_end(args);
}

/* '#' begins a directive in TAP and a newline ends the test: neither gets through. */
static inline void tap__put_name(const char *format, va_list args)
{
	char name[512];

	(void)vsnprintf(name, sizeof(name), format, args);
	for (const char *c = name; *c; c++) {
		if (*c == '#')
			(void)fputc('\\', stdout);
		(void)fputc(*c == '\n' || *c == '\r' ? ' ' : *c, stdout);
	}
}

__attribute__((format(printf, 5, 6))) static inline int
tap__result(int ok, const char *file, int line, const char *condition, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("%sok %u - ", ok ? "" : "not ", ++tap.run);
	tap__put_name(format, args);
	va_end(args);
	if (!ok) {
		tap.failed++;
		printf("\n# %s:%d: %s", file, line, condition);
	}
	(void)fputc('\n', stdout);
	(void)fflush(stdout);
	return ok;
}

/* One test: tap__ok(condition, "what should %s", "hold"). Its value is that of the condition. */
#define tap__ok(condition, ...)                                                                    \
	tap__result(!!(condition), __FILE__, __LINE__, #condition, __VA_ARGS__)

static inline int tap__show_numbers(int ok, int64_t got, int64_t wanted)
{
	if (!ok)
		tap__note("got %" PRId64 ", wanted %" PRId64, got, wanted);
	return ok;
}

static inline int tap__show_strings(int ok, const char *got, const char *wanted)
{
	if (!ok)
		tap__note("got \"%s\", wanted \"%s\"", got, wanted);
	return ok;
}

/* One test of two whole numbers, or two strings, which are shown if they differ. */
#define tap__equal(got, wanted, ...)                                                               \
	__extension__({                                                                            \
		int64_t got_ = (int64_t)(got), wanted_ = (int64_t)(wanted);                        \
		tap__show_numbers(tap__result(got_ == wanted_, __FILE__, __LINE__,                 \
					      #got " == " #wanted, __VA_ARGS__),                   \
				  got_, wanted_);                                                  \
	})
#define tap__equal_string(got, wanted, ...)                                                        \
	__extension__({                                                                            \
		const char *got_ = (got), *wanted_ = (wanted);                                     \
		tap__show_strings(tap__result(strcmp(got_, wanted_) == 0, __FILE__, __LINE__,      \
					      #got " == " #wanted, __VA_ARGS__),                   \
				  got_, wanted_);                                                  \
	})

/* Stands for count planned tests that cannot run here, with the reason. */
__attribute__((format(printf, 2, 3))) static inline void tap__skip(unsigned int count,
								   const char *format, ...)
{
	while (count-- > 0) {
		va_list args;

		va_start(args, format);
		printf("ok %u # SKIP ", ++tap.run);
		tap__put_name(format, args);
		(void)fputc('\n', stdout);
		va_end(args);
	}
	(void)fflush(stdout);
}

static inline void tap__need(int failed, const char *file, int line, const char *condition)
{
	if (!failed)
		return;
	printf("Bail out! %s:%d: cannot set the test up: %s: %s\n", file, line, condition,
	       strerror(errno));
	exit(1);
}

/* For calls that a test needs but does not test. Ends the program, which is a failure, if the
 * result is not 0. */
#define must(failed) tap__need(!!(failed), __FILE__, __LINE__, #failed)

/* The exit status for main: 0 if all tests passed and they were as many as planned. */
static inline int tap__done(void)
{
	if (tap.run != tap.planned)
		tap__note("planned %u tests, but ran %u", tap.planned, tap.run);
	if (tap.failed)
		tap__note("%u of %u tests failed", tap.failed, tap.run);
	return tap.failed || tap.run != tap.planned || fflush(stdout) != 0;
}

#endif
