/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What scenes.c plays, and what the scenes have in common: a process with memory of several kinds.
 */
#ifndef ROLLBACK_TEST_SCENES_H
#define ROLLBACK_TEST_SCENES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "rollback/rollback.h"
#include "whole_memory.h"

enum { ROUNDS = 7 };
#define PAGE  4096UL
#define BLOCK (67 * PAGE)

/* What parent and child share. No rollback changes it. */
struct scene_shared {
	struct whole_memory_view view;
	struct rollback *rollback;
	int again, round, failed_line, finished;
	const char *failed_file;
	pid_t expected_pid;
	int descriptor; /* one that is open at the checkpoint */
};
extern struct scene_shared *scene__shared;

extern unsigned char *scene__block, *scene__second; /* BLOCK bytes, filled */
extern unsigned char scene__data[5 * PAGE];
extern const char *scene__program; /* the path of the test itself */
extern int scene__file;            /* what scene__begin_file() has opened; -1 */
extern uint64_t scene__seed;       /* of the scenes by chance */

struct scene {
	const char *name; /* NULL: the end of a list */
	unsigned int flags;
	void (*begin)(void); /* before the checkpoint; may be NULL */
	void (*taken)(void); /* once there is one; may be NULL */
	void (*act)(int round);
	void (*verify)(void); /* after each rollback; may be NULL */
};

/* A scene without more than that. begin may be NULL. */
#define SCENE(function, begin)                                                                     \
	{                                                                                          \
#function, 0, begin, NULL, function, NULL                                          \
	}

extern const struct scene scenes_memory[], scenes_process[], scenes_chance[];

#define check(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			scene__fail(__FILE__, __LINE__);                                           \
	} while (0)

/* The scene has failed. The first failure is shown. */
void scene__fail(const char *file, int line);

/* Private anonymous memory, writable. */
void *scene__map(size_t bytes);

void scene__fill(unsigned char *at, size_t bytes, unsigned int seed);

/* A private mapping of a file in place of scene__second, partly written. */
void scene__begin_file(void);

#endif
