/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What listed.c does in a round, and what it has in common with that: the memory of a target, and
 * what no rollback changes.
 */
#ifndef ROLLBACK_TEST_LISTED_ACTS_H
#define ROLLBACK_TEST_LISTED_ACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "rollback/rollback.h"

#define PAGE       4096UL
#define LARGE      (1031 * PAGE) /* bytes, which all hold data */
#define EMPTY      (1537 * PAGE)
#define COPY_BYTES (64UL << 20)
enum {
	RANGES = 256,
	IGNORED = 3,
	ACTS = 21,
	ENDS = 3,
	LAST_ACT = ACTS, /* in place of an act: the end of the list */
};

struct range {
	uint64_t start, end;
};

/* What no rollback changes: shared memory. */
struct act_shared {
	struct range ranges[RANGES], ignored[IGNORED];
	size_t range_count;
	uint64_t stack; /* below it, nothing is in use */
	unsigned int round, act;
	unsigned int rounds[ACTS + 1], same[ACTS + 1], listed[ACTS + 1];
	uint64_t seed, listed_before, difference;
	struct rollback *rollback;
	int asked; /* what another process is to do; 0: it is done */
	int finished, failed_line;
	bool is_child, child_differs;
	enum rollback_way way, child_way;
	pid_t tracer;
	unsigned char copy[COPY_BYTES];
};

extern struct act_shared *act__shared;
extern const char *act__tracer;                /* the path of the program */
extern unsigned char *act__large, *act__empty; /* LARGE, EMPTY bytes */
extern unsigned char *act__file;               /* 5 pages at least */
extern pid_t act__target;

void act__need(bool condition, int line);
#define NEED(condition) act__need(condition, __LINE__)

enum found { FOUND_LISTED, FOUND_BY_SCAN };

enum {
	ACT_FIXED = 1 << 0,       /* keeps the promise of ROLLBACK_FIXED_STATE */
	ACT_SLOW = 1 << 1,        /* not often */
	ACT_GROWS_STACK = 1 << 2, /* which is gone after the rollback */
};

struct act {
	const char *name;
	void (*act)(void);
	enum found found;
	unsigned int flags; /* ACT_... */
};

extern const struct act act__all[ACTS], act__ends[ENDS];

/* The acts choose by chance what they write. */
void act__seed(uint64_t seed);

/* Some of the acts. */
void act__write_same(void);
void act__write_others(void);
void act__discard(void);

/* A byte that is excluded. Its page was empty, so it stays. */
unsigned char *act__excluded(void);

/* Is another process, which does what the target asks for, until it is killed. */
void act__help(void);

/* Asks another process, and waits until it has done that. */
void act__ask(int what);

#endif
