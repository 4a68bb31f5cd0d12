/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Scenes of programs that notice whether they have been brought back: they are told, and the
 * processor time that they have used does not go back.
 */
#include "work.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/times.h>
#include <time.h>

#include "libckpt/ckpt.h"

/* ---- being told ---- */

static volatile unsigned int seen, signals;

static void count_signal(int signal)
{
	(void)signal;
	seen = ckpt__restarts();
	signals++;
}

/* The signal is that of CKPT_RESTART_SIGNAL: with a number, it comes to that number. */
static void told(void)
{
	unsigned int before = ckpt__restarts();

	if (work_number)
		must(signal((int)work_number, count_signal) != SIG_ERR);
	check(before == 0);
	say("ready");
	while (!must_finish()) {
		const unsigned int now = ckpt__restarts();

		check(now == before || now == before + 1);
		check(!work_number || (signals == now && seen == now));
		before = now;
		(void)usleep(10000);
	}
	(void)fprintf(stderr, "restarts: %u\n", ckpt__restarts());
}

/* ---- processor time ---- */

enum { CLOCKS = 8, BURN_NS = 100000000 };

static uint64_t of_clock(clockid_t id)
{
	struct timespec now;

	must(clock_gettime(id, &now) == 0);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t of_time(const struct timeval *time)
{
	return (uint64_t)time->tv_sec * 1000000 + (uint64_t)time->tv_usec;
}

/* All that tell it, each in its own unit. */
static void read_all(uint64_t all[CLOCKS])
{
	struct rusage process, thread;
	struct tms used;

	must(times(&used) != (clock_t)-1);
	must(getrusage(RUSAGE_SELF, &process) == 0 && getrusage(RUSAGE_THREAD, &thread) == 0);
	all[0] = of_clock(CLOCK_PROCESS_CPUTIME_ID);
	all[1] = of_clock(CLOCK_THREAD_CPUTIME_ID);
	all[2] = (uint64_t)clock();
	all[3] = (uint64_t)(used.tms_utime + used.tms_stime);
	all[4] = of_time(&process.ru_utime);
	all[5] = of_time(&process.ru_stime);
	all[6] = of_time(&thread.ru_utime);
	all[7] = of_time(&thread.ru_stime);
}

static void burn(uint64_t last[CLOCKS])
{
	volatile uint64_t sum = 0;

	do {
		for (uint64_t i = 0; i < 100000; i++)
			sum += mix(i);
		(void)access("finish", F_OK);
		read_all(last);
	} while (last[1] < BURN_NS);
}

static void check_all(uint64_t last[CLOCKS])
{
	uint64_t now[CLOCKS];

	read_all(now);
	for (unsigned int i = 0; i < CLOCKS; i++)
		if (now[i] < last[i])
			end(WRONG, "clock %u goes back from %lu to %lu\n", i, last[i], now[i]);
	memcpy(last, now, sizeof(now));
}

static void *use_time(void *argument)
{
	uint64_t last[CLOCKS];

	burn(last);
	*(volatile int *)argument = 1;
	while (access("finish", F_OK) != 0) {
		check_all(last);
		(void)usleep(1000);
	}
	check_all(last);
	return argument;
}

static void cpu_time(void)
{
	volatile int is_there = 0;
	uint64_t last[CLOCKS];
	pthread_t id;

	must(pthread_create(&id, NULL, use_time, (void *)&is_there) == 0);
	burn(last);
	while (!is_there)
		(void)usleep(1000);
	say("ready");
	while (!must_finish()) {
		check_all(last);
		(void)usleep(1000);
	}
	check_all(last);
	must(pthread_join(id, NULL) == 0);
}

const struct work_scene work_again[] = {
	{"told", told},
	{"cpu-time", cpu_time},
	{NULL, NULL},
};
