/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Checkpoints and rollbacks of the whole process in a traced run. The target asks for them by files
 * (docs/protocol.md), and others by tracer ctl. The process is attached when the first of them is
 * asked for; before that, nothing here costs anything.
 *
 * Always holds: from then on, attach.h alone tracks what the target writes. The engine compares.
 */
#ifndef TRACER_OPERATION_ROLLBACKS_H
#define TRACER_OPERATION_ROLLBACKS_H

#include <stdbool.h>
#include <sys/types.h>
#include "ask/command.h"
#include "ask/reply.h"
#include "ask/socket.h"
#include "attach/attach.h"
#include "engine/snapshot.h"
#include "kernel/hooks.h"

struct rollbacks {
	struct commands commands; /* first: open_process() finds the rollbacks by it */
	struct socket *socket;    /* NULL: there is none */
	struct snapshot *snapshot;
	struct reply *reply;
	struct hooks *hooks; /* of the list of faults; NULL: there is none */
	uid_t uid;           /* of the target's files, when it asked for its checkpoint */
	gid_t gid;
	bool is_told;   /* the last rollback has told the target that it is back */
	bool was_asked; /* the process has been attached, for the target or for tracer ctl */
};

/* snapshot, reply: borrowed. stays: the tracer ends with the target, and detaches no sooner. */
void rollbacks__init(struct rollbacks *rollbacks, struct snapshot *snapshot, struct reply *reply,
		     bool stays);

/* The target, which has execed, is process pid: what was known of its memory is forgotten. For the
 * first time, listens for tracer ctl. path: of the socket; NULL: the default. If that fails, it is
 * told on stderr. */
void rollbacks__exec(struct rollbacks *rollbacks, pid_t pid, const char *path);

/* Carries out and answers the operation of the target: a checkpoint of the whole process, which
 * replaces the last such one, or a rollback to it. */
void rollbacks__checkpoint(struct rollbacks *rollbacks, const struct operation *operation);
void rollbacks__rollback(struct rollbacks *rollbacks, const struct operation *operation);

/* The tracer is about to write to the target for another operation than these two. */
void rollbacks__expect_writes(struct rollbacks *rollbacks);

/* A descriptor that is readable when rollbacks__serve has something to do; -1: there is none. */
int rollbacks__fd(const struct rollbacks *rollbacks);

/* Carries out commands of tracer ctl. Returns whether more have arrived already. */
bool rollbacks__serve(struct rollbacks *rollbacks);

/* Lets go of threads that have stopped too late for a command. To be called from time to time. */
void rollbacks__tick(struct rollbacks *rollbacks);

/* Frees what it holds; harmless on a zeroed struct. A helper then takes the hooks away (detach.h):
 * close first what it must not have open. */
void rollbacks__close(struct rollbacks *rollbacks);

#endif
