/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the fork server and its child share, in a file in memory (memfd_create(2)): no rollback
 * changes it. See protocol.h for the words that the fuzzer gets and gives.
 *
 * From its second run on the child speaks with the fuzzer itself, and the server waits for its
 * death. The child may be killed at any time. Then the server must know which words have been told
 * and taken, so that it goes on with the next one. So the kernel notes this, in the call that moves
 * the word. sendfile(2) advances `told` when the fuzzer has the word, read(2) stores the command.
 *
 *	told                        command
 *	TOLD_PID                    -            a run; the server tells the status
 *	status * 8                  NO_COMMAND   the run has ended; the server tells a status
 *	status * 8 + 4              NO_COMMAND   the status is told; the server reads a command
 *	status * 8 + 4, WORD_PID    command      it is read; the server tells the number of a child
 */
#ifndef FORKSERVER_SHARED_H
#define FORKSERVER_SHARED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "forkserver/descriptors.h"
#include "forkserver/signal_actions.h"

struct rollback;

enum {
	STATUSES = 256,
	WORD_BYTES = 4,
	/* Offsets in the file: of the status of exit(N), 8 * N; of the child's number. */
	WORD_DISTANCE = 8,
	WORD_PID = STATUSES * WORD_DISTANCE,
	TOLD_PID = WORD_PID + WORD_BYTES,
};

#define NO_COMMAND UINT32_MAX

struct shared {
	/* What is told to the fuzzer, in the order of the offsets above. */
	struct {
		uint32_t word, unused;
	} words[STATUSES + 1];
	int64_t told; /* offset in words; behind a word: it is told */
	uint32_t command;
	int file;      /* descriptor of this memory */
	pid_t server;  /* process */
	pid_t child;   /* process that can roll back; 0: there is none */
	uint32_t runs; /* of the child */
	/* Times of a processor, for on a busy machine the fuzzer runs when the child has told the
	 * status. */
	uint64_t fork_ns;     /* that the child's fork(2) took */
	uint64_t end_ns;      /* at the end of the last of the first runs */
	uint64_t rollback_ns; /* the shortest rollback of the first runs; 0: none yet */
	/* Why the process must end with this run; NULL: it need not. A string constant, which has
	 * the same address in both. */
	const char *must_end;
	/* Why no child shall roll back any more; NULL: it may. */
	const char *off;
	struct rollback *rollback;
	uint64_t processor_ns; /* that the process may use (RLIMIT_CPU); 0: no limit */
	char name[16];         /* of the thread, at the checkpoint */
	bool is_renamed;       /* by this run; or the signal of its parent's end is another one */
	off_t stdin_offset;    /* at the checkpoint; -1: it has none */
	struct descriptors descriptors;
	struct signal_actions signals;
};

#endif
