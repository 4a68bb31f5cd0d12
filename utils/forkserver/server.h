/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The fork server's side: it has one child that does all runs, until that crashes or is killed.
 */
#ifndef FORKSERVER_SERVER_H
#define FORKSERVER_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

/* Makes this process a server. Returns 0 or -errno. */
int server__begin(void);

/* In place of fork(2) and wait4(2), whether this process is a server or not. */
pid_t server__fork(void);
pid_t server__wait(pid_t pid, int *status, int options, struct rusage *usage);

/* The fuzzer says that it has killed the child of the last run. It may have been too late for that
 * run, but the child is no more. */
void server__note_killed(void);

#endif
