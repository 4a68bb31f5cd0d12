/* SPDX-License-Identifier: BSD-2-Clause
 *
 * foreign [OPTIONS]: a program without the client library. It creates the request file, spins on
 * the completion file, and checks every byte of its memory.
 *	-m KIND	brk, malloc, anon, shared, bss or all (default)
 *	-o CALL	how the request is made: fopen (default), open, creat, openat or openat2
 *	-p CALL	how it polls: access (default), faccessat or faccessat2
 *	-l	leave the completion file until the next request
 *	-n	never remove the completion file
 *	-w	look at the completion file again, a while after the poll that found it
 *	-g	give up, with status 3, when the tracer has removed the request; until then no
 *		answer is believed
 *	-c N	checkpoints (default 1); -r N restores of each (default 1)
 *	-d	the data segment is expected to be rolled back too
 * Exit status: 0 all is right, 1 memory is wrong, 2 it could not run.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include "../limit.h"
#include "check.h"

enum { BYTES = 23 * PAGE + 23, STATUS_GIVEN_UP = 3 };

static const struct settings { /* on the stack of main; nothing here may be rolled back */
	const char *memory, *opener, *poller;
	int leave, never, look_again, give_up, checkpoints, restores, data;
} defaults = {"all", "fopen", "access", 0, 0, 0, 0, 1, 1, 0};

/* The linker puts data in front of bss: its last page is the first of bss, and edata is its end. */
extern char edata;
static volatile int in_data = 23;
static volatile struct {
	unsigned char first[23], rest[BYTES];
} in_bss;

static void path_of(char *path, size_t size, const char *name)
{
	const char *folder = getenv("TRACER_CONTROL_DIR");

	(void)snprintf(path, size, "%s/%s", folder ? folder : "/tmp", name);
}

static void request(const char *opener, const char *path)
{
	struct open_how how = {.flags = O_CREAT | O_WRONLY | O_TRUNC, .mode = 0644};
	int fd = -1;

	if (!strcmp(opener, "fopen")) {
		FILE *file = fopen(path, "w");

		if (!file)
			finish(CHECK_BROKEN, "%s: %m\n", path);
		(void)fclose(file);
		return;
	}
	if (!strcmp(opener, "open"))
		fd = (int)syscall(SYS_open, path, O_CREAT | O_WRONLY | O_TRUNC, 0644);
	else if (!strcmp(opener, "creat"))
		fd = (int)syscall(SYS_creat, path, 0644);
	else if (!strcmp(opener, "openat"))
		fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, 0644);
	else if (!strcmp(opener, "openat2"))
		fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
	else
		finish(CHECK_BROKEN, "-o %s: no such call\n", opener);
	if (fd < 0)
		finish(CHECK_BROKEN, "%s %s: %m\n", opener, path);
	(void)close(fd);
}

static bool has_answer(const char *poller, const char *path)
{
	if (!strcmp(poller, "access"))
		return !syscall(SYS_access, path, F_OK);
	if (!strcmp(poller, "faccessat"))
		return !syscall(SYS_faccessat, AT_FDCWD, path, F_OK);
	if (!strcmp(poller, "faccessat2"))
		return !syscall(SYS_faccessat2, AT_FDCWD, path, F_OK, 0);
	finish(CHECK_BROKEN, "-p %s: no such call\n", poller);
}

static void ask(const struct settings *settings, const char *ready, const char *complete)
{
	char ready_path[512], complete_path[512];
	struct stat status;

	path_of(ready_path, sizeof(ready_path), ready);
	path_of(complete_path, sizeof(complete_path), complete);
	if (!settings->never)
		(void)unlink(complete_path);
	request(settings->opener, ready_path);
	while (!has_answer(settings->poller, complete_path) || settings->give_up)
		if (settings->give_up && lstat(ready_path, &status))
			finish(STATUS_GIVEN_UP, "%s was refused\n", ready);
	if (settings->look_again) { /* as a program does that has other work, or no processor */
		(void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
		if (lstat(complete_path, &status))
			finish(CHECK_WRONG, "%s has vanished\n", complete);
	}
	if (!settings->leave && !settings->never)
		(void)unlink(complete_path);
	(void)unlink(ready_path);
}

struct buffer {
	const char *kind;
	volatile unsigned char *at;
	size_t bytes;
};

static int make_buffers(const char *memory, struct buffer buffers[6])
{
	const struct buffer all[] = {
		{"brk", sbrk(BYTES), BYTES},
		{"malloc", malloc(BYTES), BYTES},
		{"anon", map_at(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE), BYTES},
		{"shared", map_at(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED), BYTES},
		{"bss", in_bss.first, sizeof(in_bss.first)},
		{"bss", in_bss.rest, sizeof(in_bss.rest)},
	};
	int count = 0;

	for (int i = 0; i < 6; i++)
		if (!strcmp(memory, "all") || !strcmp(memory, all[i].kind))
			buffers[count++] = all[i];
	if (!count)
		finish(CHECK_BROKEN, "-m %s: no such memory\n", memory);
	return count;
}

static void check_data(const struct settings *settings, int at_checkpoint, int now)
{
	int expected = settings->data ? at_checkpoint : now;

	if (in_data != expected)
		finish(CHECK_WRONG, "data: a variable is %d, not %d\n", in_data, expected);
	in_data = now;
}

static void work(const struct settings *settings)
{
	struct buffer buffers[6];
	int count = make_buffers(settings->memory, buffers);
	volatile int on_stack = 0;

	for (int c = 0; c < settings->checkpoints; c++) {
		int data = in_data;

		for (int i = 0; i < count; i++)
			fill(buffers[i].at, buffers[i].bytes, (uint64_t)c * 100 + (uint64_t)i);
		ask(settings, "ready_to_checkpoint", "checkpoint_complete");
		for (int r = 0; r < settings->restores; r++) {
			for (int i = 0; i < count; i++)
				scramble(buffers[i].at, buffers[i].bytes);
			on_stack++;
			in_data++;
			ask(settings, "ready_to_restore", "restore_complete");
			for (int i = 0; i < count; i++)
				expect(buffers[i].at, buffers[i].bytes,
				       (uint64_t)c * 100 + (uint64_t)i, buffers[i].kind);
			check_data(settings, data, data + r + 1);
		}
	}
	if (on_stack != settings->checkpoints * settings->restores)
		finish(CHECK_WRONG, "the stack was rolled back\n");
}

int main(int argc, char **argv)
{
	struct settings settings = defaults;
	int option;

	while ((option = getopt(argc, argv, "m:o:p:lnwgc:r:d")) != -1) {
		switch (option) {
		case 'm':
			settings.memory = optarg;
			break;
		case 'o':
			settings.opener = optarg;
			break;
		case 'p':
			settings.poller = optarg;
			break;
		case 'l':
			settings.leave = 1;
			break;
		case 'n':
			settings.never = 1;
			break;
		case 'w':
			settings.look_again = 1;
			break;
		case 'g':
			settings.give_up = 1;
			break;
		case 'c':
			settings.checkpoints = atoi(optarg);
			break;
		case 'r':
			settings.restores = atoi(optarg);
			break;
		case 'd':
			settings.data = 1;
			break;
		default:
			return CHECK_BROKEN;
		}
	}
	(void)alarm(LIMIT_SECONDS); /* it spins for ever without a tracer */
	say("pid: %d\n", getpid());
	say("bss begins inside a page of data: %s\n",
	    ((uintptr_t)&in_bss ^ (uintptr_t)&edata) / PAGE ? "no" : "yes");
	work(&settings);
	finish(CHECK_OK, "foreign: every byte is right\n");
}
