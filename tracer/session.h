/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The traced run: the target's requests, from the event that announces one to the row in the
 * report and the completion file.
 */
#ifndef TRACER_SESSION_H
#define TRACER_SESSION_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>
#include "ask/control.h"
#include "kernel/hooks.h"
#include "options.h"
#include "report/report.h"

struct session;

/* Everything is borrowed and must outlive the session. restore_in_bpf: the kernel lets BPF write.
 * 0 and *ret_session, or -errno after saying why on stderr. */
int session__create(const struct options *options, struct control *control, struct hooks *hooks,
		    struct report *report, bool restore_in_bpf, struct session **ret_session);

/* A descriptor that is readable when the kernel side has sent an event. */
int session__fd(const struct session *session);

/* Handles its events, whole operations too. While the target keeps asking, it stays awake and looks
 * again, for a fraction of a millisecond. */
void session__handle(struct session *session);

/* A descriptor that is readable when tracer ctl asks; -1: there is none, or not before the target
 * has execed. */
int session__socket_fd(const struct session *session);

/* Carries out commands of tracer ctl, but not while an operation of the target is under way.
 * Returns whether it has more to do at once. */
bool session__serve(struct session *session);

/* Has tracer ctl said that the tracer is to end, and the target to run on? */
bool session__is_detached(const struct session *session);

/* To be called at least every second, and at each SIGCHLD. Notices a target that asks and does not
 * poll, and makes room ahead of the next checkpoint. Returns whether more is to be done at once. */
bool session__tick(struct session *session);

/* The target, in our PID namespace; 0 until it has execed. */
pid_t session__pid(const struct session *session);

/* The target has ended: an operation that was under way has failed. signal: what ended it; 0:
 * nothing, or not known. Says so if the target has never asked, or crashed after a restore. */
void session__end(struct session *session, int signal);

/* Has an operation failed, wholly or in part? */
bool session__has_failed(const struct session *session);

/* Writes every range and chunk as it is in the store now (docs/reports.md). 0 or -errno. */
int session__write_map_log(struct session *session, const char *path);

/* Writes the snapshot as an image (snapshot_image.h). 0, or -errno after saying why on stderr. */
int session__save(struct session *session, const char *path);

/* The summary, for people. */
void session__print_summary(const struct session *session, FILE *out);

/* session__free(NULL) is harmless. */
void session__free(struct session *session);

#endif
