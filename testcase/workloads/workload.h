/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The frame of a workload: `PROGRAM CASE...` plays the cases in that order in one process, each
 * with checkpoints of its own, and says "CASE: ok" for each; the first that is not right ends it.
 * Around every operation a process outside (outside.c) makes sure that mappings and open files stay
 * as they are. What lives here is data with first values, which is not rolled back; nothing uses
 * the heap or stdio. Exit status: 0 right, 1 wrong, 2 could not run, 77 not
 * possible on this machine.
 */
#ifndef WORKLOADS_WORKLOAD_H
#define WORKLOADS_WORKLOAD_H

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../limit.h"
#include "../say.h"
#include "base/parse.h"
#include "client/client.h"
#include "pattern.h"

enum { WORKLOAD_OK = 0, WORKLOAD_WRONG = 1, WORKLOAD_BROKEN = 2, WORKLOAD_SKIP = 77 };

#define PAGE 4096UL

struct workload {
	const char *name;
	void (*play)(void);
};

static struct {
	const char *name; /* of the case that is being played */
	uint64_t seed;
	int outside; /* a socket */
} workload = {"start", 23, -1};

/* Ends the process at once: what a restore did to the C library's state must not matter. */
#define finish(status, ...)                                                                        \
	do {                                                                                       \
		say("%s: %s ", workload.name,                                                      \
		    (status) == WORKLOAD_WRONG  ? "FAILED:"                                        \
		    : (status) == WORKLOAD_SKIP ? "skipped:"                                       \
						: "cannot run:");                                  \
		say(__VA_ARGS__);                                                                  \
		say("\n");                                                                         \
		_exit(status);                                                                     \
	} while (0)

#define wrong(...) finish(WORKLOAD_WRONG, __VA_ARGS__)

static inline void must(int ok, const char *what)
{
	if (!ok)
		finish(WORKLOAD_BROKEN, "%s: %s", what, strerror(errno));
}

/* A seed of its own for each part of a case; never 0, which means zeros. */
static inline uint64_t seed(uint64_t part)
{
	return workload.seed * 1000 + part + 1;
}

static inline void expect(const volatile void *at, size_t bytes, uint64_t with, const char *what)
{
	size_t at_byte = first_wrong(at, bytes, with);

	if (at_byte != bytes)
		wrong("%s: byte %zu of %zu at %p", what, at_byte, bytes, (const void *)at);
}

/* ---- the process outside ---- */

static inline void ask_outside(uint32_t kind, const volatile void *at, size_t bytes, uint64_t with,
			       const char *what)
{
	struct outside_ask ask = {.kind = kind, .pid = getpid()};
	struct outside_answer answer;

	ask.address = (uintptr_t)at;
	ask.bytes = bytes;
	ask.seed = with;
	if (workload.outside < 0)
		return;
	if (send(workload.outside, &ask, sizeof(ask), MSG_NOSIGNAL) != sizeof(ask) ||
	    recv(workload.outside, &answer, sizeof(answer), 0) != sizeof(answer))
		finish(WORKLOAD_BROKEN, "the process outside does not answer");
	if (answer.wrong)
		wrong("%s, seen from outside: %s", what, answer.text);
}

/* The same as expect(), from outside, whatever the protection of the memory. */
static inline void expect_outside(const volatile void *at, size_t bytes, uint64_t with,
				  const char *what)
{
	ask_outside(OUTSIDE_EXPECT, at, bytes, with, what);
}

static inline void start_outside(void)
{
	char path[4096], number[16];
	char *arguments[] = {path, number, NULL};
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 16);
	int ends[2];
	pid_t pid;

	must(length > 0, "readlink");
	path[length] = '\0';
	strcpy(strrchr(path, '/') + 1, "outside");
	must(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), "socketpair");
	must(!fcntl(ends[0], F_SETFD, FD_CLOEXEC), "fcntl"); /* so that it sees our end */
	workload.outside = ends[0];
	snprintf(number, sizeof(number), "%d", ends[1]);
	errno = posix_spawn(&pid, path, NULL, NULL, arguments, NULL);
	must(!errno, path);
	close(ends[1]);
}

/* ---- operations ---- */

static inline void save(void)
{
	int err;

	ask_outside(OUTSIDE_REMEMBER, NULL, 0, 0, "");
	err = client__save(0);
	if (err)
		finish(WORKLOAD_BROKEN, "save: %s", client__strerror(err));
	ask_outside(OUTSIDE_COMPARE, NULL, 0, 0, "the checkpoint changed a mapping or a file");
}

static inline void restore(void)
{
	int err;

	ask_outside(OUTSIDE_REMEMBER, NULL, 0, 0, "");
	err = client__restore(0);
	if (err)
		finish(WORKLOAD_BROKEN, "restore: %s", client__strerror(err));
	ask_outside(OUTSIDE_COMPARE, NULL, 0, 0, "the restore changed a mapping or a file");
}

/* ---- memory ---- */

static inline void *map_at(void *at, size_t bytes, int protection, int flags)
{
	void *memory = mmap(at, bytes, protection, flags | MAP_ANONYMOUS, -1, 0);

	must(memory != MAP_FAILED, "mmap");
	return memory;
}

/* A mapping without neighbours: pages without access on both sides. */
static inline unsigned char *map_alone(size_t bytes, int flags)
{
	char *fence = map_at(NULL, bytes + 2 * (size_t)PAGE, PROT_NONE, MAP_PRIVATE);

	return map_at(fence + PAGE, bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED);
}

/* Memory that no region includes, and that no restore changes: a shared file without a name. */
static inline void *map_untracked(size_t bytes)
{
	int fd = memfd_create("untracked", MFD_CLOEXEC);
	void *memory;

	must(fd >= 0 && !ftruncate(fd, (off_t)bytes), "memfd_create");
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(memory != MAP_FAILED, "mmap of a file");
	close(fd);
	return memory;
}

/* ---- a child ---- */

/* Ends a child that waits for the write end of its pipe to be closed, and says what it found. */
static inline void expect_child(pid_t child, int to_child, const char *what)
{
	int status = -1;

	close(to_child);
	must(waitpid(child, &status, 0) == child, "waitpid");
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		wrong("%s: the child ended with status %#x", what, (unsigned int)status);
}

/* ---- the program ---- */

static inline int play_workloads(const struct workload *workloads, int argc, char **argv)
{
	const char *text = getenv("WORKLOAD_SEED");

	if (argc < 2 || (text && parse__u64(text, 0, UINT64_MAX / 1000 - 1, &workload.seed)))
		finish(WORKLOAD_BROKEN, "usage: %s CASE..., WORKLOAD_SEED is a number", argv[0]);
	alarm(LIMIT_SECONDS);
	start_outside();
	say("seed %lu\n", (unsigned long)workload.seed);
	for (int i = 1; i < argc; i++) {
		const struct workload *found = workloads;

		while (found->name && strcmp(found->name, argv[i]) != 0)
			found++;
		workload.name = argv[i];
		if (!found->name)
			finish(WORKLOAD_BROKEN, "there is no such case");
		found->play();
		say("%s: ok\n", argv[i]);
	}
	_exit(WORKLOAD_OK);
}

#endif
