/* SPDX-License-Identifier: BSD-2-Clause
 *
 * hold TID SIGNAL MS: waits until SIGNAL is delivered to the thread TID. Then holds the thread
 * twice, as a busy machine does: for MS milliseconds before its handler, and for as many at the
 * first instruction of the handler. Says "ready" when it waits.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

static pid_t tid;

static int wait_for_stop(void)
{
	int status = 0;

	if (waitpid(tid, &status, __WALL) != tid || !WIFSTOPPED(status))
		finish(CHECK_BROKEN, "hold: thread %d has ended\n", (int)tid);
	return status;
}

static void resume(enum __ptrace_request request, int signal)
{
	if (ptrace(request, tid, NULL, (void *)(intptr_t)signal) < 0)
		finish(CHECK_BROKEN, "hold: thread %d: %m\n", (int)tid);
}

int main(int argc, char **argv)
{
	int signal, stop;

	if (argc != 4)
		finish(CHECK_BROKEN, "usage: hold TID SIGNAL MS\n");
	tid = (pid_t)atoi(argv[1]);
	signal = atoi(argv[2]);
	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) < 0)
		finish(CHECK_BROKEN, "hold: cannot trace thread %d: %m\n", (int)tid);
	say("ready\n");
	while ((stop = WSTOPSIG(wait_for_stop())) != signal)
		resume(PTRACE_CONT, stop);
	(void)usleep((useconds_t)atoi(argv[3]) * 1000);
	resume(PTRACE_SINGLESTEP, signal); /* which stops once the handler's frame is made */
	(void)wait_for_stop();
	(void)usleep((useconds_t)atoi(argv[3]) * 1000);
	resume(PTRACE_DETACH, 0);
	return 0;
}
