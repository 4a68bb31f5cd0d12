/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Faults on demand. The environment is read at each point, which costs a fraction of a microsecond.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>
#include "target/fault_injection.h"

/* The action for the point, or NULL. */
static const char *action_at(const char *point)
{
	const char *wanted = getenv("TRACER_FAULT");
	size_t length = strlen(point);

	if (!wanted || strncmp(wanted, point, length) != 0 || wanted[length] != ':')
		return NULL;
	return wanted + length + 1;
}

bool fault_injection__strikes(const char *point, const char *action)
{
	const char *wanted = action_at(point);

	if (!wanted || strcmp(wanted, action) != 0)
		return false;
	unsetenv("TRACER_FAULT");
	return true;
}

int fault_injection__pass(const char *point, pid_t target)
{
	const char *action = action_at(point);
	struct pollfd gone = {.events = POLLIN};

	if (!action)
		return 0;
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
