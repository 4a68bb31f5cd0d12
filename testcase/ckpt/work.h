/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the scenes of work.c share: a scene is a function that must(), that check()s, and that waits
 * for its end.
 */
#ifndef CKPT_WORK_H
#define CKPT_WORK_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE 4096UL

enum { WRONG = 1, BROKEN = 2 };

struct work_scene {
	const char *name; /* NULL ends a list */
	void (*play)(void);
};

extern const struct work_scene work_alone[], work_kernel[], work_threads[], work_missing[],
	work_daemon[], work_again[], work_shuffle[], work_objects[], work_prctl[];

extern unsigned long work_number; /* from the command line; 0: none */

__attribute__((format(printf, 2, 3), noreturn)) static inline void end(int status,
								       const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	(void)fflush(stdout);
	_exit(status);
}

#define must(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			end(BROKEN, "%s:%d: %s: %m\n", __FILE__, __LINE__, #condition);            \
	} while (0)

#define check(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			end(WRONG, "%s:%d: wrong: %s (errno %d)\n", __FILE__, __LINE__,            \
			    #condition, errno);                                                    \
	} while (0)

static inline void say(const char *text)
{
	printf("%s\n", text);
	must(fflush(stdout) == 0);
}

/* Has somebody asked us to finish? */
static inline int must_finish(void)
{
	/* A link and no file: an open file would be in the image, and must be there later. */
	must(symlink("finish", "alive") == 0 || errno == EEXIST);
	return access("finish", F_OK) == 0;
}

static inline void wait_for_finish(void)
{
	while (!must_finish())
		(void)usleep(10000); /* a signal only makes it shorter */
}

static inline uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 31)) * 0x9e3779b97f4a7c15;
	return x ^ (x >> 29);
}

static inline void fill(void *memory, size_t bytes, uint64_t seed)
{
	uint64_t *words = memory;

	for (size_t i = 0; i < bytes / 8; i++)
		words[i] = mix(seed + i);
}

static inline bool is_filled(const void *memory, size_t bytes, uint64_t seed)
{
	const uint64_t *words = memory;

	for (size_t i = 0; i < bytes / 8; i++) {
		if (words[i] != mix(seed + i))
			return false;
	}
	return true;
}

#endif
