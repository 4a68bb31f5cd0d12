/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See hook.h.
 */
#include "restart/hook.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"

int hook__run(const char *command, const struct image *image)
{
	char pid[16];
	int status;

	(void)snprintf(pid, sizeof(pid), "%d", getpid());
	(void)signal(SIGCHLD, SIG_DFL); /* ignored, its end could not be waited for */
	if (setenv("RESTART_PID", pid, 1) < 0 || setenv("RESTART_IMAGE", image->path, 1) < 0)
		status = -1;
	else
		status = system(command); /* NOLINT: what the caller asks for */
	if (status == 0)
		return 0;
	if (status < 0)
		log__error("cannot run the hook: %s", strerror(errno));
	else if (WIFSIGNALED(status))
		log__error("signal %d has ended the hook, so the process does not go on: %s",
			   WTERMSIG(status), command);
	else
		log__error("the hook has ended with %d, so the process does not go on: %s",
			   WEXITSTATUS(status), command);
	return -ECANCELED;
}
