/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The child of the fork server that does many runs: it takes a checkpoint where fork(2) returns.
 * Where it would exit, it tells the fuzzer, goes back to that, and waits for the next command.
 */
#ifndef FORKSERVER_CHILD_H
#define FORKSERVER_CHILD_H

#include "forkserver/shared.h"

/* In the child, behind fork(2): takes the checkpoint, writes a byte to server, waits until that is
 * closed at the other end, and closes it. Returns at the beginning of each run. If there is no
 * checkpoint, the reason is in shared->off, and the child is like any other. */
void child__begin(struct shared *shared, int server);

/* The process is about to exit with this status, as exit(3) takes it: does not return if it rolls
 * back instead. */
void child__end(int status);

/* This run sets the action of a signal. */
void child__note_signal(int number);

/* This run sets the name of its thread, or the signal that it gets when its parent ends. */
void child__note_prctl(void);

/* Only the end of the process undoes what this run has done: it must end. */
void child__must_end(const char *reason);

#endif
