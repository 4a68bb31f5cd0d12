/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A child of a unit test, which counts in shared memory. The test can wait for it and end it. A
 * wait in vain ends after a limit, and the test that follows fails.
 */
#ifndef UNIT_CHILD_H
#define UNIT_CHILD_H

#include <linux/types.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../limit.h"
#include "base/procfs.h"

enum { CHILD_LOOKS = LIMIT_SECONDS * 1000 }; /* a millisecond apart */

/* Starts a child that runs work for ever, and that ends with us. Returns as fork does. */
static inline pid_t child__start(void (*work)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		work();
		_exit(1);
	}
	return pid;
}

/* The letter of its state in /proc, 0 when it is gone. */
static inline int child__state(pid_t pid)
{
	char text[512] = "", *end_of_name;

	if (procfs__read(pid, "stat", text, sizeof(text) - 1) < 0)
		return 0;
	end_of_name = strrchr(text, ')');
	return end_of_name ? end_of_name[2] : 0;
}

static inline void child__wait_state(pid_t pid, char state)
{
	for (unsigned int i = 0; i < CHILD_LOOKS && child__state(pid) != state; i++)
		(void)usleep(1000);
}

/* Waits until *value is at least so much. Was it in time? */
static inline int child__wait_count(const volatile __u64 *value, __u64 least)
{
	for (unsigned int i = 0; i < CHILD_LOOKS && *value < least; i++)
		(void)usleep(1000);
	return *value >= least;
}

/* Kills it and takes its status. */
static inline void child__end(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

#endif
