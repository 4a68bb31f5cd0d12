/* SPDX-License-Identifier: BSD-2-Clause
 *
 * steps STEP...: a client of the tracer for tests that need a certain order of things. It takes the
 * steps one after the other, and prints the result of each:
 *	bytes=N		make the buffer: a private mapping of N bytes, filled (default 94231)
 *	wait=MS		for answers from now on; 0 as long as the library likes
 *	save restore	ask; prints the result, 0 or a negative errno
 *	whole		a checkpoint of the whole process, and a rollback to it; prints the result
 *	fill=SEED	give the buffer the bytes of a seed; byte=N: the same byte everywhere
 *	scramble	change every byte of the buffer; poke=N: change the byte N
 *	verify		compare with what the last fill wrote
 *	discard		MADV_DONTNEED
 *	unmap		the buffer; churn=N: map and unmap a page N times
 *	touch=PATH	create a file; await=PATH: wait until there is one
 *	busy=PATH	restore again and again, for some seconds, until there is no such file
 *	exec		execute this program again, for the rest of the steps
 *	exit=N raise=N	end
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "../limit.h"
#include "check.h"
#include "client/client.h"

struct buffer { /* on the stack of main */
	volatile unsigned char *at;
	size_t bytes;
	uint64_t seed;
	int byte;             /* -1: filled from the seed */
	unsigned int wait_ms; /* for an answer; 0: as long as the library likes */
};

static void make(struct buffer *buffer, size_t bytes)
{
	buffer->at = map_alone(bytes);
	buffer->bytes = bytes;
	say("buffer: %p\n", (void *)(uintptr_t)buffer->at);
}

static void fill_buffer(struct buffer *buffer)
{
	if (buffer->byte < 0)
		fill(buffer->at, buffer->bytes, buffer->seed);
	else
		for (size_t i = 0; i < buffer->bytes; i++)
			buffer->at[i] = (unsigned char)buffer->byte;
}

static void verify(const struct buffer *buffer)
{
	size_t wrong = 0;

	if (buffer->byte < 0)
		wrong = count_wrong(buffer->at, buffer->bytes, buffer->seed);
	else
		for (size_t i = 0; i < buffer->bytes; i++)
			wrong += buffer->at[i] != (unsigned char)buffer->byte;
	if (wrong)
		say("verify: %zu of %zu bytes are wrong\n", wrong, buffer->bytes);
	else
		say("verify: ok\n");
}

static void await(const char *path)
{
	const struct timespec nap = {.tv_nsec = 5000000};

	while (faccessat(AT_FDCWD, path, F_OK, AT_EACCESS))
		(void)nanosleep(&nap, NULL);
}

static void keep_busy(const char *path)
{
	const struct timespec nap = {.tv_nsec = 10000000};
	int rounds = 0;

	while (!access(path, F_OK) && rounds++ < 301) {
		(void)client__restore(0);
		(void)nanosleep(&nap, NULL);
	}
	say("busy: the file is %s\n", access(path, F_OK) ? "gone" : "there");
}

static void come_back(unsigned int wait_ms)
{
	int result = client__save_whole(wait_ms);

	if (result == 0)
		result = client__rollback(wait_ms);
	say("whole: %d\n", result);
}

static void churn(unsigned long count)
{
	while (count--)
		(void)munmap(map_at(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE), PAGE);
}

static void touch(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0644);

	if (fd < 0)
		finish(CHECK_BROKEN, "%s: %m\n", path);
	(void)close(fd);
}

static void with_number(struct buffer *buffer, const char *step, unsigned long number)
{
	if (!strncmp(step, "bytes=", 6)) {
		make(buffer, number);
		fill_buffer(buffer);
	} else if (!strncmp(step, "fill=", 5)) {
		buffer->seed = number;
		buffer->byte = -1;
		fill_buffer(buffer);
	} else if (!strncmp(step, "byte=", 5)) {
		buffer->byte = (int)number;
		fill_buffer(buffer);
	} else if (!strncmp(step, "wait=", 5)) {
		buffer->wait_ms = (unsigned int)number;
	} else if (!strncmp(step, "poke=", 5)) {
		if (number >= buffer->bytes)
			finish(CHECK_BROKEN, "steps: '%s': behind the buffer\n", step);
		buffer->at[number] ^= 0x55;
	} else if (!strncmp(step, "churn=", 6)) {
		churn(number);
	} else if (!strncmp(step, "exit=", 5)) {
		_exit((int)number);
	} else if (!strncmp(step, "raise=", 6)) {
		(void)raise((int)number);
	} else {
		finish(CHECK_BROKEN, "steps: '%s': no such step\n", step);
	}
}

static void take(struct buffer *buffer, char **step)
{
	const char *value = strchr(*step, '=');

	if (!strcmp(*step, "save")) {
		say("save: %d\n", client__save(buffer->wait_ms));
	} else if (!strcmp(*step, "restore")) {
		say("restore: %d\n", client__restore(buffer->wait_ms));
	} else if (!strcmp(*step, "whole")) {
		come_back(buffer->wait_ms);
	} else if (!strcmp(*step, "scramble")) {
		scramble(buffer->at, buffer->bytes);
	} else if (!strcmp(*step, "verify")) {
		verify(buffer);
	} else if (!strcmp(*step, "discard")) {
		(void)madvise((void *)(uintptr_t)buffer->at, buffer->bytes, MADV_DONTNEED);
	} else if (!strcmp(*step, "unmap")) {
		(void)munmap((void *)(uintptr_t)buffer->at, buffer->bytes);
	} else if (!strcmp(*step, "exec")) {
		*step = "steps";
		(void)execv("/proc/self/exe", step);
		finish(CHECK_BROKEN, "steps: cannot exec: %m\n");
	} else if (!strncmp(*step, "touch=", 6)) {
		touch(value + 1);
	} else if (!strncmp(*step, "busy=", 5)) {
		keep_busy(value + 1);
	} else if (!strncmp(*step, "await=", 6)) {
		await(value + 1);
	} else {
		with_number(buffer, *step, value ? strtoul(value + 1, NULL, 0) : 0);
	}
}

int main(int argc, char **argv)
{
	struct buffer buffer = {.seed = 23, .byte = -1};

	(void)alarm(LIMIT_SECONDS);
	say("pid: %d\n", getpid());
	if (argc < 2 || strncmp(argv[1], "bytes=", 6) != 0) {
		make(&buffer, 23 * PAGE + 23);
		fill_buffer(&buffer);
	}
	for (int i = 1; i < argc; i++)
		take(&buffer, argv + i);
	return CHECK_OK;
}
