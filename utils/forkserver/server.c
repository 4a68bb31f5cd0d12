/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See server.h. What is static here belongs to the server: in a child it is a copy of no use.
 */
#include "forkserver/server.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/raw_syscall.h"
#include "forkserver/child.h"
#include "forkserver/shared.h"
#include "preload/next.h"

enum {
	SPINS = 200,
	LOOK_AGAIN_MS = 1000, /* at a child whose death the kernel has not told */
	LOOK_OFTEN_MS = 10,   /* for a stop of the child, which nobody tells */
	/* A checkpoint that has served fewer runs was not worth it. */
	WORTH_RUNS = 8,
	MOST_FORKS = 255, /* without a checkpoint, before the next one */
};

static struct {
	struct shared *shared; /* NULL: this process is no server */
	pid_t child;           /* that rolls back; 0: there is none */
	bool is_running;       /* its run has not been waited for */
	unsigned int runs;     /* of the child */
	/* After checkpoints that were not worth it: how many forks without one follow the next such
	 * checkpoint, and how many are left. */
	unsigned int pause, forks_left;
	bool is_end_said, is_off_said;
} server;

static bool is_server(void)
{
	return server.shared && raw_syscall__call(SYS_getpid, 0, 0, 0, 0) == server.shared->server;
}

/* With a single processor for both, the child cannot run while the server spins. */
static unsigned int choose_spins(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 1 ? SPINS : 0;
}

int server__begin(void)
{
	void *memory = mmap(NULL, sizeof(*server.shared), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return -errno;
	server.shared = memory;
	server.shared->server = getpid();
	server.shared->spins = choose_spins();
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

/* The child is dead. Was its checkpoint worth it? */
static void lose_child(void)
{
	if (server.runs >= WORTH_RUNS)
		server.pause = 0;
	else if (server.pause < MOST_FORKS)
		server.pause = 2 * server.pause + 1;
	server.forks_left = server.pause;
	server.child = 0;
	server.is_running = false;
	say(&server.is_end_said, server.shared->must_end, "the process ended with its run");
}

static void end_child(void)
{
	(void)kill(server.child, SIGKILL);
	(void)wait_for_real(server.child, NULL, 0, NULL);
	lose_child();
}

/* Waits until the child has rolled back. False if it is dead. */
static bool is_ready(void)
{
	enum turn_state state;
	siginfo_t info = {.si_pid = 0};

	do {
		state = turn__look(&server.shared->ready, server.shared->spins, LOOK_AGAIN_MS);
		if (waitid(P_PID, (id_t)server.child, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
		    info.si_pid)
			return false;
	} while (state == TURN_CHILD);
	return state == TURN_SERVER;
}

/* A real fork(2), whose child takes a checkpoint. */
static pid_t fork_with_checkpoint(void)
{
	pid_t pid;

	turn__begin(&server.shared->run);
	turn__begin(&server.shared->ready);
	server.shared->child = 0;
	pid = NEXT(fork)();
	if (pid == 0) {
		child__begin(server.shared);
		return 0;
	}
	if (pid < 0)
		return pid;
	server.child = pid;
	server.is_running = true;
	server.runs = 1;
	if (is_ready() && !server.shared->child) { /* it is like any other */
		server.child = 0;
		server.is_running = false;
	}
	return pid;
}

pid_t server__fork(void)
{
	if (!is_server() || server.is_running)
		return NEXT(fork)();
	if (server.child) {
		if (is_ready() && !server.shared->off) {
			server.is_running = true;
			server.runs++;
			turn__give(&server.shared->run, server.child);
			return server.child;
		}
		end_child();
	}
	say(&server.is_off_said, server.shared->off, "each run is a process of its own");
	if (server.shared->off)
		return NEXT(fork)();
	if (server.forks_left > 0) {
		server.forks_left--;
		return NEXT(fork)();
	}
	return fork_with_checkpoint();
}

/* The child has ended its run, and lives. */
static pid_t answer(int *status, struct rusage *usage)
{
	server.is_running = false;
	if (status)
		*status = server.shared->status;
	if (usage)
		memset(usage, 0, sizeof(*usage));
	return server.child;
}

pid_t server__wait(pid_t pid, int *status, int options, struct rusage *usage)
{
	int limit_ms = options & WNOHANG ? 0 : LOOK_AGAIN_MS;
	int real_status = 0;
	pid_t result;

	if (!is_server() || !server.is_running || (pid != server.child && pid != -1))
		return wait_for_real(pid, status, options, usage);
	if (options & WUNTRACED) {
		server.shared->off = "the fork server wants to see its child stop";
		limit_ms = limit_ms ? LOOK_OFTEN_MS : 0;
	}
	do {
		enum turn_state state =
			turn__look(&server.shared->run, server.shared->spins, limit_ms);

		if (state == TURN_SERVER)
			return answer(status, usage);
		result = wait_for_real(pid, &real_status,
				       state == TURN_DEAD ? options : options | WNOHANG, usage);
	} while (result == 0 && !(options & WNOHANG));
	if (result == server.child && !WIFSTOPPED(real_status))
		lose_child();
	if (result > 0 && status)
		*status = real_status;
	return result;
}

void server__note_killed(void)
{
	if (is_server() && server.child && !server.is_running)
		end_child();
}
