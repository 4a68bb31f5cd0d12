/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A tracer beside a process, which shares its list of page faults with it: tracer -p PID.
 */
#ifndef ROLLBACK_OWN_TRACER_H
#define ROLLBACK_OWN_TRACER_H

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../limit.h"

/* build/tracer, for a program in a folder of build/. */
static inline const char *own_tracer__path(const char *program)
{
	static char path[4096];
	const char *slash = strrchr(program, '/');

	(void)snprintf(path, sizeof(path), "%.*s../tracer", slash ? (int)(slash - program) + 1 : 0,
		       program);
	return path;
}

static inline bool own_tracer__listens(pid_t pid)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool result;

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "/run/tracer/%d.sock", pid);
	result = fd >= 0 && !connect(fd, (const struct sockaddr *)&address, sizeof(address));
	if (fd >= 0)
		(void)close(fd);
	return result;
}

static inline void own_tracer__end(pid_t tracer, int signal)
{
	(void)kill(tracer, signal);
	(void)waitpid(tracer, NULL, 0);
}

/* Starts it and waits until it listens. Returns its process id, or -1: there is none then. Not
 * inline: its caller may call rollback__take, which returns twice. */
static __attribute__((noinline, unused)) pid_t own_tracer__start(const char *path, pid_t pid)
{
	char number[16];
	pid_t tracer = fork();

	if (tracer == 0) {
		const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(null, STDERR_FILENO);
		(void)snprintf(number, sizeof(number), "%d", pid);
		(void)execl(path, path, "-p", number, (char *)NULL);
		_exit(127);
	}
	for (int ms = 0; tracer > 0 && ms < LIMIT_SECONDS * 1000; ms++) {
		if (own_tracer__listens(pid))
			return tracer;
		if (waitpid(tracer, NULL, WNOHANG) == tracer)
			return -1;
		(void)usleep(1000);
	}
	if (tracer > 0)
		own_tracer__end(tracer, SIGKILL);
	return -1;
}

#endif
