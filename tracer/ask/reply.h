/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The answer to a request. The client gets it through the control files, the user on stderr, the
 * report in a row. The kernel side gets the phase IDLE, and the target goes on. Always holds: an
 * operation ends in exactly one of reply__complete() and reply__fail(), and only a whole success
 * has a completion file.
 */
#ifndef TRACER_ASK_REPLY_H
#define TRACER_ASK_REPLY_H

#include <stdbool.h>
#include <stdint.h>
#include "ask/control.h"
#include "report/report.h"
#include "engine/snapshot.h"

struct reply { /* all pointers are borrowed */
	struct control *control;
	struct report *report;
	struct target *target;
	struct snapshot *snapshot;
	struct state *state;
	uint64_t last;     /* sequence of the last operation that succeeded */
	uint64_t restored; /* of the last restore that wrote; 0: none since the last exec */
	uint64_t gone;     /* chunks that are gone since the checkpoint, as last told */
	bool has_failed;   /* any operation, wholly or in part */
};

/* Does the thread that asked still want the operation? Not if it has given up and asked again
 * meanwhile: it would take the answer for that of its new request. */
bool reply__is_wanted(const struct reply *reply);

/* May the operation be answered: is it still wanted, and is the request file right? To be asked
 * when memory was moved and nothing else is left to do. row: as in reply__complete(). Returns 0; or
 * -REASON_OVERTAKEN or -errno after reply__fail(). */
int reply__check(struct reply *reply, struct operation_row *row);

/*
 * The operation has succeeded: creates the completion file and adds row, which has the counts and
 * STATUS_OK; the rest of it is filled in. If the file cannot be created, ends in reply__fail().
 */
void reply__complete(struct reply *reply, struct operation_row *row);

/* The operation has failed, and format tells why. There is no completion file; the request file is
 * removed, so the client knows. The snapshot before a checkpoint is kept
 * if it is whole. row: the counts, with STATUS_FAILED or STATUS_PARTIAL; NULL: no counts,
 * STATUS_FAILED. */
void __attribute__((format(printf, 3, 4)))
reply__fail(struct reply *reply, struct operation_row *row, const char *format, ...);

/*
 * A rollback has steps of its own, because it undoes the poll of the target that asked. It begins
 * at once. Fills in row, for reply__end_rollback() or reply__fail(). Returns 0;
 * -REASON_OVERTAKEN if the target has asked for something else; or -errno after reply__fail().
 */
int reply__begin_rollback(struct reply *reply, struct operation_row *row);

/* The target was rolled back and stands still. Gives up what it has asked for since its
 * checkpoint. */
void reply__forget(struct reply *reply);

/* Tells a target that it is back in the poll of its checkpoint. Creates the completion file of the
 * rollback, owned by uid and gid. Removes that of the checkpoint if it is there. Returns 0, or
 * -errno after saying so. */
int reply__tell_return(struct reply *reply, uid_t uid, gid_t gid);

/* The rollback is done, and the target runs. */
void reply__end_rollback(struct reply *reply, struct operation_row *row, uint64_t request_ns);

/* Tells clients that asked during another operation that they are not answered. */
void reply__refuse_ignored(struct reply *reply);

#endif
