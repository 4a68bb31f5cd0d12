/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Faults on demand. The environment is read at each point: an operation takes tens of
 * microseconds, a lookup in the environment a fraction of one.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>
#include "fault.h"

int fault__pass(const char *point, pid_t target)
{
	const char *wanted = getenv("TRACER_FAULT");
	size_t length = strlen(point);
	const char *action;
	struct pollfd gone = {.events = POLLIN};

	if (!wanted || strncmp(wanted, point, length) != 0 || wanted[length] != ':')
		return 0;
	action = wanted + length + 1;
	if (!strcmp(action, "die")) {
		kill(getpid(), SIGKILL);
	} else if (!strcmp(action, "kill-target")) {
		gone.fd = pidfd_open(target, 0);
		kill(target, SIGKILL);
		(void)poll(&gone, gone.fd >= 0, 5000); /* until it has ended, child or not */
		close(gone.fd);
		unsetenv("TRACER_FAULT");
	} else if (!strcmp(action, "fail")) {
		unsetenv("TRACER_FAULT");
		return -EIO;
	}
	return 0;
}
