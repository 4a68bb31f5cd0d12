/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See cpu_time.h. What was noted is in the process's own memory, so it is a part of the image.
 */
#include "libckpt/cpu_time.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Of one kind, process or thread. */
struct account {
	struct cpu_time past;  /* to be added to the kernel's */
	struct cpu_time noted; /* both together, when the image was taken */
};

static struct account process;
/* Its place is known when the library is loaded; others may be made by malloc(3). */
static __thread struct account thread __attribute__((tls_model("initial-exec")));

static int64_t to_ns(const struct timeval *time)
{
	return (int64_t)time->tv_sec * 1000000000 + (int64_t)time->tv_usec * 1000;
}

static struct cpu_time read_time(clockid_t clock, int who)
{
	struct timespec all = {0};
	struct rusage usage = {0};

	(void)syscall(SYS_clock_gettime, clock, &all);
	(void)syscall(SYS_getrusage, who, &usage);
	return (struct cpu_time){
		.all = (int64_t)all.tv_sec * 1000000000 + all.tv_nsec,
		.user = to_ns(&usage.ru_utime),
		.system = to_ns(&usage.ru_stime),
	};
}

static void note(struct account *account, clockid_t clock, int who)
{
	const struct cpu_time now = read_time(clock, who);

	account->noted.all = account->past.all + now.all;
	account->noted.user = account->past.user + now.user;
	account->noted.system = account->past.system + now.system;
}

static void go_on(struct account *account, clockid_t clock, int who)
{
	const struct cpu_time now = read_time(clock, who);

	account->past.all = account->noted.all - now.all;
	account->past.user = account->noted.user - now.user;
	account->past.system = account->noted.system - now.system;
}

void cpu_time__note_thread(void)
{
	note(&thread, CLOCK_THREAD_CPUTIME_ID, RUSAGE_THREAD);
}

void cpu_time__note_process(void)
{
	note(&process, CLOCK_PROCESS_CPUTIME_ID, RUSAGE_SELF);
}

void cpu_time__continue_thread(void)
{
	go_on(&thread, CLOCK_THREAD_CPUTIME_ID, RUSAGE_THREAD);
}

void cpu_time__continue_process(void)
{
	go_on(&process, CLOCK_PROCESS_CPUTIME_ID, RUSAGE_SELF);
}

void cpu_time__forget(void)
{
	process = thread = (struct account){0};
}

const struct cpu_time *cpu_time__of_process(void)
{
	return &process.past;
}

const struct cpu_time *cpu_time__of_thread(void)
{
	return &thread.past;
}
