/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See server.h. What is static here belongs to the server: in a child it is a copy of no use.
 */
#include "forkserver/server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/high_number.h"
#include "base/raw_syscall.h"
#include "forkserver/child.h"
#include "forkserver/shared.h"
#include "preload/next.h"

enum {
	/* A checkpoint that has served fewer runs was not worth it. */
	WORTH_RUNS = 8,
	MOST_FORKS = 255, /* without a checkpoint, before the next one */
};

static struct {
	struct shared *shared; /* NULL: this process is no server */
	bool is_asked;         /* a command was read, and fork(2) not called yet */
	pid_t child;           /* that rolls back; 0: there is none */
	int link;              /* to the child, until its number is told; -1 */
	/* Forks without a checkpoint: pause of them follow the next checkpoint that is not worth
	 * it, and forks_left are still to come. */
	unsigned int pause, forks_left;
	bool is_status_told;  /* the child has told it */
	bool is_command_read; /* by the child */
	bool is_end_said, is_off_said;
} server = {.link = -1};

static bool is_server(void)
{
	return server.shared && raw_syscall__call(SYS_getpid, 0, 0, 0, 0) == server.shared->server;
}

int server__begin(void)
{
	struct shared *memory = MAP_FAILED;
	int file = memfd_create("forkserver", MFD_CLOEXEC);

	if (file < 0)
		return -errno;
	file = high_number__move(file);
	if (ftruncate(file, sizeof(*memory)) == 0)
		memory = mmap(NULL, sizeof(*memory), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (memory == MAP_FAILED) {
		(void)close(file);
		return -errno;
	}
	for (int status = 0; status < STATUSES; status++)
		memory->words[status].word = W_EXITCODE((uint32_t)status, 0);
	memory->file = file;
	memory->server = getpid();
	server.shared = memory;
	return 0;
}

static pid_t wait_for_real(pid_t pid, int *status, int options, struct rusage *usage)
{
	return NEXT(wait4)(pid, status, options, usage);
}

/* Says once why there is no rollback. */
static void say(bool *is_said, const char *reason, const char *what)
{
	if (reason && !*is_said)
		(void)fprintf(stderr, "rollback-forkserver: %s, so %s\n", reason, what);
	*is_said = *is_said || reason;
}

/* Closes the link to the child, which goes on then. */
static void let_go(void)
{
	(void)close(server.link);
	server.link = -1;
}

/* A real fork(2), whose child takes a checkpoint. */
static pid_t fork_with_checkpoint(void)
{
	uint64_t begin_ns;
	int ends[2];
	char byte;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		return NEXT(fork)();
	/* Low numbers are the target's. */
	ends[0] = high_number__move(ends[0]);
	ends[1] = high_number__move(ends[1]);
	server.shared->child = 0;
	begin_ns = clock__read_ns(CLOCK_THREAD_CPUTIME_ID);
	pid = NEXT(fork)();
	if (pid == 0) {
		(void)close(ends[0]);
		child__begin(server.shared, ends[1]);
		return 0;
	}
	server.shared->fork_ns = clock__read_ns(CLOCK_THREAD_CPUTIME_ID) - begin_ns;
	(void)close(ends[1]);
	server.link = ends[0];
	/* The fuzzer's timeout begins when it has the child's number: not before the checkpoint. */
	if (pid > 0)
		while (NEXT(read)(server.link, &byte, 1) < 0 && errno == EINTR)
			;
	if (pid > 0 && server.shared->child == pid)
		server.child = pid;
	else
		let_go();
	return pid;
}

pid_t server__fork(void)
{
	if (!is_server() || !server.is_asked)
		return NEXT(fork)();
	server.is_asked = false;
	say(&server.is_off_said, server.shared->off, "each run is a process of its own");
	if (server.shared->off)
		return NEXT(fork)();
	if (server.forks_left > 0) {
		server.forks_left--;
		return NEXT(fork)();
	}
	return fork_with_checkpoint();
}

/* The child is dead. Where is the dialogue with the fuzzer, and was the checkpoint worth it? */
static void lose_child(void)
{
	const struct shared *shared = server.shared;

	server.is_status_told = shared->told != TOLD_PID && shared->told % WORD_DISTANCE != 0;
	server.is_command_read = shared->told == WORD_PID ||
				 (server.is_status_told && shared->command != NO_COMMAND);
	server.is_status_told |= server.is_command_read;
	server.child = 0;
	if (shared->runs >= WORTH_RUNS)
		server.pause = 0;
	else if (server.pause < MOST_FORKS)
		server.pause = 2 * server.pause + 1;
	server.forks_left = server.pause;
	say(&server.is_end_said, shared->must_end, "the process ended with its run");
}

pid_t server__wait(pid_t pid, int *status, int options, struct rusage *usage)
{
	int real_status = 0;
	pid_t result;

	if (!is_server())
		return wait_for_real(pid, status, options, usage);
	if (server.link >= 0) {
		server.shared->off = "the fork server has another protocol";
		let_go();
	}
	result = wait_for_real(pid, &real_status, options, usage);
	if (result > 0 && result == server.child && !WIFSTOPPED(real_status))
		lose_child();
	if (result > 0 && status)
		*status = real_status;
	return result;
}

bool server__command(uint32_t *ret_command)
{
	if (!is_server() || !server.is_command_read)
		return false;
	server.is_command_read = false;
	*ret_command = server.shared->command;
	return true;
}

void server__note_command(void)
{
	server.is_asked = is_server();
}

bool server__is_told(void)
{
	if (!is_server() || !server.is_status_told)
		return false;
	server.is_status_told = false;
	return true;
}

void server__note_told(uint32_t word)
{
	if (is_server() && server.link >= 0 && word == (uint32_t)server.child)
		let_go();
}
