/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Shared by the cases of testcase: areas of memory whose every byte can be computed again from a
 * seed, and a run, which asks for checkpoints and restores and keeps the time. A restore rolls back
 * heap, bss and anonymous mappings. So runs, areas and tallies are on the stack of the main thread,
 * text is formatted there and written with write(2), and no expected data is stored at all.
 */
#ifndef TESTCASE_CASES_H
#define TESTCASE_CASES_H

#include <stddef.h>
#include <stdint.h>

/* The result of a case, and the exit status of the program. */
enum result {
	RESULT_OK = 0,
	RESULT_WRONG = 1,  /* memory is not what it must be */
	RESULT_BROKEN = 2, /* it did not come to its end: no tracer, no memory, wrong usage */
};

/* --- areas (area.c) --- */

/* The right content of an area. */
enum content {
	CONTENT_PATTERN, /* the bytes of its seed */
	CONTENT_ZERO,    /* zeros */
};

struct area { /* bytes that are filled, destroyed and verified together */
	void *at;
	size_t bytes; /* any number, at any alignment */
	uint64_t seed;
	enum content content;
	unsigned int range; /* what to call it in a message: 0, 1, ... */
};

struct mistake { /* the first wrong byte of an area, and how many there are */
	size_t offset;
	size_t count;
	unsigned char is, expected;
};

/* The next number of the generator (splitmix64, Steele, Lea and Flood 2014); *state is its seed. */
uint64_t area__random(uint64_t *state);

/* A seed for part number index, from the seed of the whole. */
uint64_t area__derive(uint64_t seed, uint64_t index);

/* Writes the content that area must have. */
void area__fill(const struct area *area);

/* Changes every single byte of area, whatever it holds; another round does it another way. */
void area__scramble(const struct area *area, uint64_t round);

/* Compares every byte. Returns 0, or -EBADMSG and fills *ret_mistake (else untouched). */
int area__verify(const struct area *area, struct mistake *ret_mistake);

/* --- tallies (tally.c) --- */

#define TALLY_SUB_BITS 5 /* 32 steps in each power of two: figures are right to 3 % */
#define TALLY_BINS     ((64 - TALLY_SUB_BITS + 1) << TALLY_SUB_BITS)

struct tally { /* durations; all zero is empty */
	uint64_t count, sum_ns, min_ns;
	uint32_t bins[TALLY_BINS];
};

void tally__add(struct tally *tally, uint64_t ns);

/* The duration that share (0..1) of all do not exceed: the middle of its bin; 0 if empty. */
uint64_t tally__quantile(const struct tally *tally, double share);

/* --- runs (run.c) --- */

struct run {                /* one case being run; on the main thread's stack */
	const char *name;   /* of the case */
	uint64_t seed;      /* of the case */
	uint64_t seconds;   /* for the cases that loop; 0: once */
	unsigned int power; /* -n */
	int answered;       /* a tracer has answered at least once */
	int quiet;          /* only the result is printed */
	struct tally save, recover;
};

/* Monotonic nanoseconds. */
uint64_t run__now_ns(void);

/* 4 << power bytes, the -n of the command line. */
size_t run__bytes(const struct run *run);

/* The same in whole pages, and at least 23 of them, for the cases that are about pages. */
size_t run__page_bytes(const struct run *run);

/* Of the machine, in bytes. */
size_t run__page_size(void);

/*
 * Ask for a checkpoint or a restore and add its duration to the tally. Return RESULT_OK, or
 * RESULT_BROKEN after saying why on stderr. After the first answer SIGINT, SIGTERM and SIGHUP are
 * blocked: see run__interrupted.
 */
enum result run__save(struct run *run);
enum result run__recover(struct run *run);

/*
 * Verifies count areas. when: a word for the message, such as "after the restore".
 * Returns RESULT_OK, or RESULT_WRONG after saying on stderr which byte is wrong.
 */
enum result run__verify(const struct run *run, const struct area *areas, unsigned int count,
			const char *when);

/* 1 once a signal asked the program to stop. It stays pending in the kernel until main lets it in;
 * there no restore can take it back. */
int run__interrupted(void);

/* Private (or, with shared, shared) anonymous memory, at hint if that is free. NULL after saying
 * why on stderr. */
void *run__map(const struct run *run, size_t bytes, int shared, void *hint);

/* One line to stdout, or to stderr, with a single write(2) and no buffer outside the stack. They
 * begin it with the name of the case, and end it. run__print is silent if the run is quiet. */
void run__print(const struct run *run, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void run__print_result(const struct run *run, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void run__complain(const struct run *run, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The closing lines of a case: latencies, the throughput of bytes moved each way, the verdict. */
void run__report(const struct run *run, size_t bytes, enum result result);

/* --- the cases (case_*.c) --- */

struct test_case {
	const char *name;
	const char *description; /* one line, for --list */
	enum result (*run)(struct run *run);
	int loops; /* runs for -t seconds, rather than once */
};

enum result case__idle(struct run *run);
enum result case__scramble(struct run *run);
enum result case__anon(struct run *run);
enum result case__shared(struct run *run);
enum result case__bss(struct run *run);
enum result case__many(struct run *run);
enum result case__untouched(struct run *run);
enum result case__repeat(struct run *run);
enum result case__replace(struct run *run);

#endif
