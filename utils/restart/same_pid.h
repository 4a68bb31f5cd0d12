/* SPDX-License-Identifier: BSD-2-Clause
 *
 * restart --same-pid: a child with the number of the process goes on as it. Its parent hands
 * signals on to it, and stops and ends as it does.
 */
#ifndef RESTART_SAME_PID_H
#define RESTART_SAME_PID_H

#include <sys/types.h>

enum { RESTART_FAILED = 125 }; /* exit status; any other could be that of the process */

/* Returns 0 in a process that has the number: the child, or the caller if it has it already;
 * -errno, and it has said why, if that cannot be. The parent never returns. */
int same_pid__take(pid_t pid);

#endif
