/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Running a case: asking the tracer, keeping the time, talking. Nothing here has state of its own,
 * and nothing that must outlive a restore leaves the caller's stack.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "client/client.h"
#include "cases.h"

#define LINE_BYTES 1024
#define MIN_PAGES  23

uint64_t run__now_ns(void)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

size_t run__page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

size_t run__bytes(const struct run *run)
{
	return sizeof(int32_t) << run->power;
}

size_t run__page_bytes(const struct run *run)
{
	size_t page = run__page_size(), bytes = (run__bytes(run) + page - 1) & ~(page - 1);

	return bytes < MIN_PAGES * page ? MIN_PAGES * page : bytes;
}

static void write_line(int fd, const struct run *run, const char *format, va_list args)
{
	char line[LINE_BYTES];
	size_t length, done = 0;
	ssize_t n;

	(void)snprintf(line, sizeof(line), "%s: ", run->name);
	length = strlen(line);
	(void)vsnprintf(line + length, sizeof(line) - length - 1, format, args);
	length = strlen(line);
	line[length++] = '\n';
	while (done < length) {
		n = write(fd, line + done, length - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* nobody reads: the exit status still tells */
		done += (size_t)n;
	}
}

void run__print(const struct run *run, const char *format, ...)
{
	va_list args;

	if (run->quiet)
		return;
	va_start(args, format);
	write_line(STDOUT_FILENO, run, format, args);
	va_end(args);
}

void run__print_result(const struct run *run, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	write_line(STDOUT_FILENO, run, format, args);
	va_end(args);
}

void run__complain(const struct run *run, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	write_line(STDERR_FILENO, run, format, args);
	va_end(args);
}

static void stop_signals(sigset_t *set)
{
	(void)sigemptyset(set);
	(void)sigaddset(set, SIGINT);
	(void)sigaddset(set, SIGTERM);
	(void)sigaddset(set, SIGHUP);
}

int run__interrupted(void)
{
	sigset_t pending, set;
	int sig;

	stop_signals(&set);
	if (sigpending(&pending) < 0)
		return 0;
	for (sig = 1; sig < NSIG; sig++) {
		if (sigismember(&set, sig) == 1 && sigismember(&pending, sig) == 1)
			return 1;
	}
	return 0;
}

static enum result ask(struct run *run, const char *what, int (*call)(void), struct tally *tally)
{
	uint64_t start_ns = run__now_ns(), passed_ns;
	sigset_t set;
	int err;

	err = call();
	passed_ns = run__now_ns() - start_ns;
	if (err == -ETIMEDOUT && !run->answered) {
		run__complain(run, "no tracer answered within %.3g s; run it as: tracer ./testcase",
			      (double)passed_ns / 1e9);
		return RESULT_BROKEN;
	}
	if (err) {
		run__complain(run, "cannot %s (number %llu): %s", what,
			      (unsigned long long)tally->count + 1, client__strerror(err));
		return RESULT_BROKEN;
	}
	tally__add(tally, passed_ns);
	if (!run->answered) {
		run->answered = 1;
		stop_signals(&set);
		(void)sigprocmask(SIG_BLOCK, &set, NULL);
	}
	return RESULT_OK;
}

enum result run__save(struct run *run)
{
	return ask(run, "save", savecontext, &run->save);
}

enum result run__recover(struct run *run)
{
	return ask(run, "recover", recovercontext, &run->recover);
}

enum result run__verify(const struct run *run, const struct area *areas, unsigned int count,
			const char *when)
{
	enum result result = RESULT_OK;
	struct mistake mistake = {0};
	unsigned int i;

	for (i = 0; i < count; i++) {
		if (!area__verify(&areas[i], &mistake))
			continue;
		run__complain(run,
			      "FAILED: byte %zu at address %p is 0x%02x expected 0x%02x "
			      "(range %u of %zu bytes, %zu of them wrong, %s; seed %llu)",
			      mistake.offset, (void *)((char *)areas[i].at + mistake.offset),
			      mistake.is, mistake.expected, areas[i].range, areas[i].bytes,
			      mistake.count, when, (unsigned long long)run->seed);
		result = RESULT_WRONG;
	}
	return result;
}

void *run__map(const struct run *run, size_t bytes, int shared, void *hint)
{
	void *at = mmap(hint, bytes, PROT_READ | PROT_WRITE,
			MAP_ANONYMOUS | (shared ? MAP_SHARED : MAP_PRIVATE), -1, 0);

	if (at != MAP_FAILED)
		return at;
	run__complain(run, "cannot map %zu bytes: %s; try a smaller -n", bytes, strerror(errno));
	return NULL;
}

static void print_tally(const struct run *run, const char *what, const struct tally *tally)
{
	run__print(run, "%s min %.1f us, median %.1f us, p99 %.1f us (calls: %llu)", what,
		   (double)tally->min_ns / 1e3, (double)tally__quantile(tally, 0.5) / 1e3,
		   (double)tally__quantile(tally, 0.99) / 1e3, (unsigned long long)tally->count);
}

void run__report(const struct run *run, size_t bytes, enum result result)
{
	uint64_t calls = run->save.count + run->recover.count;
	double seconds = (double)(run->save.sum_ns + run->recover.sum_ns) / 1e9;

	if (run->save.count)
		print_tally(run, "save   ", &run->save);
	if (run->recover.count)
		print_tally(run, "recover", &run->recover);
	if (calls && seconds > 0)
		run__print(run, "throughput %.1f MiB/s: %zu bytes moved %llu times in %.3f s",
			   (double)bytes * (double)calls / 1048576 / seconds, bytes,
			   (unsigned long long)calls, seconds);
	if (result == RESULT_OK)
		run__print_result(run, "ok, every byte is right (seed %llu)",
				  (unsigned long long)run->seed);
	else
		run__print_result(run, "%s (seed %llu)",
				  result == RESULT_WRONG ? "FAILED" : "could not be run",
				  (unsigned long long)run->seed);
}
