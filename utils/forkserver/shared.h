/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the fork server and its child share, in memory that no rollback changes.
 *
 *	server  fork()                waitpid()             fork()
 *	child            run, exit()             roll back          run …
 *	run     child's               server's, from the    child's
 *	                              child's exit on
 *	ready   server's              child's while it rolls back; then server's
 *
 * The child tells the end of a run before it rolls back, so that the fuzzer can go on meanwhile.
 */
#ifndef FORKSERVER_SHARED_H
#define FORKSERVER_SHARED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "forkserver/descriptors.h"
#include "forkserver/signal_actions.h"
#include "forkserver/turn.h"

struct rollback;

struct shared {
	struct turn run, ready;
	pid_t server;       /* process */
	pid_t child;        /* process that can roll back; 0: there is none */
	int status;         /* of the last run, as waitpid(2) has it */
	unsigned int spins; /* to wait for a turn before sleeping */
	/* Why the process must end with this run; NULL: it need not. A string constant, which has
	 * the same address in both. */
	const char *must_end;
	/* Why no child shall roll back any more; NULL: it may. */
	const char *off;
	struct rollback *rollback;
	off_t stdin_offset; /* at the checkpoint; -1: it has none */
	struct descriptors descriptors;
	struct signal_actions signals;
};

#endif
