/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Shared by the measuring programs: a clock, an end with a message, and the samples file that
 * bench_collect sums up. Each of its lines is one measured value:
 *
 *	OP,VARIANT,ENGINE,BYTES,SEQUENCE,VALUE
 *
 * VARIANT and ENGINE are "-" where there is none. SEQUENCE is the number of the request in its run
 * of the tracer, or 0. VALUE is in nanoseconds; only the ops `pairs` (a second), `store` (bytes)
 * and `..._per_chunk` have other units. Lines are in the order of the measurements; bench_collect
 * compares each with the peers before it.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHUNK 256 /* bytes of a chunk */

/* Ends the program: what failed, and why. */
#define BENCH_DIE(...)                                                                             \
	do {                                                                                       \
		int error_ = errno;                                                                \
		fprintf(stderr, "%s: ", program_invocation_short_name);                            \
		fprintf(stderr, __VA_ARGS__);                                                      \
		fprintf(stderr, "%s%s\n", error_ ? ": " : "", error_ ? strerror(error_) : "");     \
		exit(1);                                                                           \
	} while (0)

/* Says how the program is called if it was asked (-h, --help) or called wrongly. Then the program
 * ends, with 0 or 2. */
static inline void bench__check_usage(int argc, char **argv, bool is_wrong, const char *usage)
{
	bool is_asked = argc == 2 && (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help"));

	if (!is_asked && !is_wrong)
		return;
	fprintf(is_asked ? stdout : stderr, "usage: %s\n", usage);
	exit(is_asked ? 0 : 2);
}

static inline uint64_t bench__now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Opens the samples file at path to append to it, or ends the program. */
static inline int bench__open_samples(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		BENCH_DIE("cannot write %s", path);
	return fd;
}

static inline void bench__emit(int fd, const char *op, const char *variant, const char *engine,
			       uint64_t bytes, uint64_t sequence, double value)
{
	if (dprintf(fd, "%s,%s,%s,%lu,%lu,%.3f\n", op, variant, engine, (unsigned long)bytes,
		    (unsigned long)sequence, value) < 0)
		BENCH_DIE("cannot write a sample");
}

#endif
