/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Calls of the C library that tell processor time. libckpt answers them in the program's place, so
 * that they go on from where they were when the program is brought back. In libckpt.so only, as in
 * preload/interpose.c. Source: clock(3), clock_gettime(2), getrusage(2), times(2).
 */
#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/times.h>
#include <time.h>
#include <unistd.h>

#include "libckpt/ckpt.h"
#include "libckpt/cpu_time.h"
#include "preload/next.h"

enum { SECOND_NS = 1000000000, MICROSECOND_NS = 1000 };

/* Our handler reads the clock, and must not look for the function behind. */
__attribute__((constructor(101))) static void find_next(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
}

static int64_t not_negative(int64_t ns)
{
	return ns > 0 ? ns : 0;
}

/* Adds the time of earlier lives to that of the kernel, which begins anew in each life. If an image
 * is taken in between, the process that was brought back adds once more. */
static int tell(clockid_t id, const volatile struct cpu_time *past, struct timespec *now)
{
	unsigned int life;
	int64_t ns;

	do {
		life = libckpt_restarts;
		if (syscall(SYS_clock_gettime, id, now) < 0)
			return -1;
		ns = not_negative((int64_t)now->tv_sec * SECOND_NS + now->tv_nsec + past->all);
	} while (life != libckpt_restarts);
	*now = (struct timespec){ns / SECOND_NS, ns % SECOND_NS};
	return 0;
}

EXPORTED int clock_gettime(clockid_t id, struct timespec *now)
{
	if (id == CLOCK_PROCESS_CPUTIME_ID)
		return tell(id, cpu_time__of_process(), now);
	if (id == CLOCK_THREAD_CPUTIME_ID)
		return tell(id, cpu_time__of_thread(), now);
	return NEXT(clock_gettime)(id, now);
}

EXPORTED clock_t clock(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) < 0)
		return -1;
	return now.tv_sec * CLOCKS_PER_SEC + now.tv_nsec / (SECOND_NS / CLOCKS_PER_SEC);
}

static void add(struct timeval *time, int64_t past_ns)
{
	const int64_t ns = not_negative((int64_t)time->tv_sec * SECOND_NS +
					(int64_t)time->tv_usec * MICROSECOND_NS + past_ns);

	*time = (struct timeval){ns / SECOND_NS, ns % SECOND_NS / MICROSECOND_NS};
}

EXPORTED int getrusage(__rusage_who_t who, struct rusage *usage)
{
	const volatile struct cpu_time *past = who == RUSAGE_SELF     ? cpu_time__of_process()
					       : who == RUSAGE_THREAD ? cpu_time__of_thread()
								      : NULL;
	unsigned int life;

	do {
		life = libckpt_restarts;
		if (syscall(SYS_getrusage, who, usage) < 0)
			return -1;
		if (past) {
			add(&usage->ru_utime, past->user);
			add(&usage->ru_stime, past->system);
		}
	} while (life != libckpt_restarts);
	return 0;
}

static clock_t to_ticks(const struct timeval *time)
{
	const long tick_ns = SECOND_NS / sysconf(_SC_CLK_TCK);

	return (time->tv_sec * SECOND_NS + time->tv_usec * MICROSECOND_NS) / tick_ns;
}

/* The kernel's own has been rounded down, which would add up. */
EXPORTED clock_t times(struct tms *used)
{
	const clock_t now = NEXT(times)(used);
	struct rusage usage;

	if (now != (clock_t)-1 && used && getrusage(RUSAGE_SELF, &usage) == 0) {
		used->tms_utime = to_ticks(&usage.ru_utime);
		used->tms_stime = to_ticks(&usage.ru_stime);
	}
	return now;
}
