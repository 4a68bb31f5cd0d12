/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One operation after the other. Phases are drawn in bpf/tracer.h; what happens here:
 *
 *	EVENT_PREPARE  stop other threads, reconcile the ranges, then hand over to the next poll;
 *		       where BPF may not write, a restore holds the target in that poll
 *	EVENT_COPIED   write and repair what BPF could not, then complete
 *
 * An operation ends with a reply (reply.h): in reply__complete() or in reply__fail().
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/progress.h"
#include "ask/reply.h"
#include "target/fault.h"
#include "report/map_log.h"
#include "engine/snapshot.h"
#include "session.h"
#include "report/snapshot_image.h"
#include "report/summary.h"
#include "target/reason.h"
#include "target/target.h"

enum {
	RESTARTS = 97,          /* of one copy, because mappings changed between its polls */
	AWAKE_NS = 200000,      /* look again for so long after the last event before sleeping */
	PROVIDE_NS = 500000000, /* how often to look whether more extents are needed */
	POLL_TIMEOUT_NS = 2000000000, /* a request whose client does not poll for so long */
};

struct session {
	const struct options *options;
	struct control *control;
	struct hooks *hooks;
	struct report *report;
	struct reply reply;
	struct state *state;
	struct ring_buffer *events;
	struct snapshot *snapshot;
	struct target target;
	struct snapshot_image *image; /* NULL: not wanted */
	uint64_t warned;              /* sequence of the request that nobody polls for */
	uint64_t asked_ns;            /* when we last expected a poll to come */
	uint64_t polls_seen;
	uint64_t begun;                    /* sequence of the request that was prepared last */
	uint64_t provided_ns;              /* when all extents that were needed were there */
	uint32_t restarts;                 /* of that one */
	char threads[200];                 /* that have come or gone, for a message */
	char text[500];                    /* of a message */
	uint64_t waiting[OPERATION_KINDS]; /* request files that were there at the last tick */
	uint64_t idle;                     /* sequence of the last request at that time */
	bool stranger_told;                /* somebody else's request was noticed */
	bool elsewhere;                    /* the target has another root or mount namespace */
	struct progress progress;          /* of a copy that takes many polls */
	bool restore_in_bpf;
	bool may_spin;
};

static int on_event(void *context, void *data, size_t size)
{
	struct session *session = context;
	const struct event *event = data;
	int err = 0;

	if (size != sizeof(*event))
		return 0;
	switch (event->kind) {
	case EVENT_EXEC:
		err = snapshot__note(session->snapshot, event);
		if (!err)
			err = target__exec(&session->target, (pid_t)event->pid);
		log__debug("tracing process %u (%s)", event->pid, session->target.comm);
		if (err && err != -ESRCH)
			log__error("cannot follow process %u: %s", event->pid, strerror(-err));
		break;
	case EVENT_WAKE:
		break;
	case EVENT_REQUEST: /* the poll is to come, and finds us awake */
		session->asked_ns = clock__now_ns();
		if (event->start > session->reply.last) /* else the answer is there already */
			control__forget(session->control, session->state->operation.kind,
					session->state->operation.uid);
		break;
	case EVENT_PREPARE: /* look() goes by the phase, for an event can be lost */
	case EVENT_COPIED:
		break;
	default:
		session->target.changed = true;
		if (snapshot__note(session->snapshot, event))
			log__error("no memory to follow the target's mappings");
	}
	return 0;
}

int session__create(const struct options *options, struct control *control, struct hooks *hooks,
		    struct report *report, bool restore_in_bpf, struct session **ret_session)
{
	const struct snapshot_settings settings = {
		.slab_threshold = options->slab_threshold,
		.ready_chunks = options->ready_chunks,
		.max_chunks = options->max_chunks,
		.pages_per_poll = (uint32_t)options->pages_per_poll,
		.restore_in_bpf = restore_in_bpf,
		.verify = options->verify,
	};
	struct session *session = calloc(1, sizeof(*session));
	cpu_set_t cpus;
	int err;

	if (!session)
		return -ENOMEM;
	session->options = options;
	session->control = control;
	session->hooks = hooks;
	session->report = report;
	session->restore_in_bpf = restore_in_bpf;
	session->state = hooks__state(hooks);
	/* with one processor, staying awake would only keep the target from running */
	session->may_spin = !sched_getaffinity(0, sizeof(cpus), &cpus) && CPU_COUNT(&cpus) > 1;
	err = snapshot__open(&settings, hooks, session->state, &session->snapshot);
	if (err) { /* it has said why */
		session__free(session);
		return err;
	}
	session->reply = (struct reply){.control = control,
					.report = report,
					.target = &session->target,
					.snapshot = session->snapshot,
					.state = session->state};
	err = target__open(&session->target, session->state, options->regions, !options->wait_name);
	if (err)
		goto out;
	if (options->save)
		err = snapshot_image__create(&session->image);
	if (err)
		goto out;
	session->events = ring_buffer__new(hooks__events_fd(hooks), on_event, session, NULL);
	if (!session->events)
		err = -errno;
out:
	if (err) {
		log__error("cannot set up the session: %s", strerror(-err));
		session__free(session);
		return err;
	}
	*ret_session = session;
	return 0;
}

int session__fd(const struct session *session)
{
	return ring_buffer__epoll_fd(session->events);
}

pid_t session__pid(const struct session *session)
{
	return session->target.pid;
}

bool session__has_failed(const struct session *session)
{
	return session->reply.has_failed;
}

/* ---- before the copy ---- */

/* Reads what the ring holds, then reconciles with all of it. */
static int reconcile(struct session *session)
{
	uint64_t deferred = __atomic_load_n(&session->state->deferred, __ATOMIC_ACQUIRE);
	int err;

	(void)ring_buffer__consume(session->events);
	err = snapshot__reconcile(session->snapshot, &session->target,
				  session->state->operation.kind);
	if (err == -REASON_EVENTS_LOST && session->state->operation.kind == OPERATION_CHECKPOINT) {
		log__warn("the ring of events was full; ranges were read anew");
		err = 0;
	}
	if (!err)
		__atomic_store_n(&session->state->prepared, deferred, __ATOMIC_RELEASE);
	return err;
}

static bool is_reconciled(const struct session *session)
{
	const struct state *state = session->state;

	if (state->operation.kind == OPERATION_CHECKPOINT && state->unplaced)
		return false;
	return state->prepared == __atomic_load_n(&state->deferred, __ATOMIC_ACQUIRE) &&
	       !state->always_prepare;
}

/* Looks for what would make the copy do harm. */
static int check_target(struct session *session)
{
	const struct operation *operation = &session->state->operation;
	struct intervals ranges = {0};
	int err = 0;

	if (operation->kind == OPERATION_RESTORE)
		err = target__check_threads(&session->target, session->threads,
					    sizeof(session->threads));
	if (err || (operation->threads == 1 && !operation->stack))
		return err;
	err = snapshot__ranges(session->snapshot, true, &ranges);
	if (err)
		goto out;
	err = target__check_stack(&session->target, &ranges);
	if (err)
		goto out;
	if (operation->threads > 1)
		err = target__check_userfault(&session->target, &ranges);
out:
	intervals__clear(&ranges);
	return err;
}

/* What a message says of err. */
static const char *why(struct session *session, int err)
{
	if (err != -REASON_THREADS_CHANGED)
		return reason__text(err);
	snprintf(session->text, sizeof(session->text), "%s (%s)", reason__text(err),
		 session->threads);
	return session->text;
}

/* Finds out what the copy needs to know, while the target stands still or polls. */
static int look_at_target(struct session *session)
{
	struct operation *operation = &session->state->operation;
	int err = 0;

	if (is_reconciled(session))
		(void)ring_buffer__consume(session->events);
	else
		err = reconcile(session);
	if (operation->kind == OPERATION_CHECKPOINT)
		session->state->valid = 0; /* the new table takes the place of the old one */
	/* the copy begins, or begins again if something changed between two batches of it */
	operation->copied = operation->absent = operation->unwritten = operation->newer = 0;
	operation->lost = operation->suspects = operation->clean = operation->differences = 0;
	operation->slab_cursor = operation->slab_flags = 0;
	if (err)
		return err;
	err = check_target(session);
	if (err)
		return err;
	return snapshot__begin(session->snapshot, &session->target, operation->kind);
}

/* Hands over to the next poll, unless something has overtaken the operation. -REASON_OVERTAKEN when
 * the target will not poll. */
static int make_ready(struct session *session)
{
	uint32_t *phase = &session->state->operation.phase;
	uint32_t preparing = PHASE_PREPARING, ready = PHASE_READY;

	session->asked_ns = clock__now_ns();
	if (!__atomic_compare_exchange_n(phase, &preparing, PHASE_READY, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_RELAXED))
		return 0;
	/* a request that comes from now on overtakes this one; one that came before could not */
	if (!reply__is_wanted(&session->reply) &&
	    __atomic_compare_exchange_n(phase, &ready, PHASE_PREPARING, false, __ATOMIC_ACQ_REL,
					__ATOMIC_RELAXED))
		return -REASON_OVERTAKEN;
	return 0;
}

/* For a restore from user space: stops the target, lets BPF compare in this poll or in the next
 * ones, and leaves the target standing in the last one. The phase is then COPIED. */
static int hold_and_compare(struct session *session)
{
	struct operation *operation = &session->state->operation;
	int err = target__stop_in_poll(&session->target);

	for (int idle = 0; !err && operation->phase != PHASE_COPIED; idle++) {
		uint64_t cursor = operation->slab_cursor;

		if (idle == 23)
			return -REASON_NOT_POLLING;
		if (operation->phase == PHASE_PREPARING) {
			err = look_at_target(session);
			if (!err)
				err = make_ready(session);
		}
		if (!err && idle == 0)
			err = target__finish_poll(&session->target);
		if (!err && operation->phase != PHASE_COPIED)
			err = target__step(&session->target);
		if (operation->slab_cursor > cursor)
			idle = 0;
	}
	return err;
}

static void finish(struct session *session);

/* A restore where BPF may not write. */
static void restore_from_here(struct session *session)
{
	int err = hold_and_compare(session);

	if (err) {
		reply__fail(&session->reply, NULL, "%s; its memory is as it was",
			    why(session, err));
		return;
	}
	(void)ring_buffer__consume(session->events);
	finish(session);
}

/* A signal handler that maps and unmaps between any two polls would let a long copy begin again for
 * ever. */
static int count_restart(struct session *session)
{
	const struct operation *operation = &session->state->operation;

	if (session->begun != operation->sequence)
		session->restarts = 0;
	else
		session->restarts++;
	session->begun = operation->sequence;
	return session->restarts > RESTARTS ? -REASON_MAPPINGS_CHANGING : 0;
}

/* What a failed operation has left, for its message. moved: something of a restore may be
 * written. */
static const char *what_is_now(const struct session *session, bool moved, int err)
{
	if (err == -ESRCH)
		return "";
	if (session->state->operation.kind == OPERATION_CHECKPOINT)
		return "; there is no snapshot now";
	return moved ? "; memory is partly restored" : "; its memory is as it was";
}

static void prepare(struct session *session)
{
	struct operation *operation = &session->state->operation;
	struct target *target = &session->target;
	bool begun = operation->copied > 0; /* something has changed between two batches */
	int err = 0;

	if (operation->phase != PHASE_PREPARING)
		return; /* another exec or request has overtaken it */
	err = fault__pass("prepare", target->pid);
	if (err) {
		reply__fail(&session->reply, NULL, "%s", reason__text(err));
		return;
	}
	if (operation->kind == OPERATION_RESTORE && !session->state->valid) {
		reply__fail(&session->reply, NULL,
			    "there is no snapshot to restore; ask for a checkpoint first");
		return;
	}
	if (operation->kind == OPERATION_RESTORE && !session->restore_in_bpf) {
		restore_from_here(session);
		return;
	}
	if (operation->threads > 1 || session->state->stopped)
		err = target__stop(target, (pid_t)operation->tid);
	if (err)
		goto out;
	err = count_restart(session);
	if (err)
		goto out;
	err = look_at_target(session);
	if (err)
		goto out;
	err = make_ready(session);
out:
	if (err)
		reply__fail(&session->reply, NULL, "%s%s", why(session, err),
			    what_is_now(session, begun, err));
}

/* ---- after the copy ---- */

/* What the copy and its repair have come to. */
static void tally(const struct session *session, const struct engine_result *repaired,
		  struct operation_row *row)
{
	const struct operation *operation = &session->state->operation;
	bool restore = operation->kind == OPERATION_RESTORE;

	if (restore)
		row->restore_path = session->restore_in_bpf ? "bpf" : "process_vm";
	row->chunks = operation->copied + operation->absent + operation->unwritten +
		      operation->newer + operation->lost + operation->clean +
		      operation->differences;
	row->bytes = (operation->copied + repaired->moved) * CHUNK_BYTES;
	row->absent = operation->absent;
	if (!restore && repaired->moved + repaired->failed <= row->absent)
		row->absent -= repaired->moved + repaired->failed; /* they were there, after all */
	row->repaired = repaired->forced;
	row->failed = repaired->failed + operation->lost;
	row->fresh = operation->newer;
	row->clean = operation->clean;
	if (restore)
		row->gone = snapshot__count_gone(session->snapshot, row->chunks - row->fresh);
	row->copy_ns = operation->copy_ns;
}

/* For --save. The checkpoint is as good without it. */
static void remember_for_image(struct session *session)
{
	int err = session->image ? snapshot_image__remember(session->image, &session->target,
							    session->snapshot)
				 : 0;

	if (err && err != -ESRCH)
		log__warn("cannot read what --save needs to know of process %d: %s",
			  session->target.pid, strerror(-err));
}

static void finish(struct session *session)
{
	struct operation *operation = &session->state->operation;
	bool restore = operation->kind == OPERATION_RESTORE;
	struct operation_row row = {.status = STATUS_FAILED};
	struct engine_result result = {0};
	uint64_t start_ns = clock__now_ns();
	int err;

	if (operation->phase != PHASE_COPIED)
		return; /* an exec has overtaken it, or it is done */
	err = fault__pass("copied", session->target.pid);
	if (!err)
		err = snapshot__repair(session->snapshot, &session->target, &result);
	if (!err && !restore)
		err = target__remember_threads(&session->target);
	tally(session, &result, &row);
	if (snapshot__is_left(session->snapshot))
		row.copy_ns += clock__now_ns() - start_ns;
	if (err || operation->failed) {
		reply__fail(&session->reply, &row, "%s%s",
			    operation->failed ? "the copy in the kernel broke off"
					      : reason__text(err),
			    what_is_now(session, row.bytes || session->restore_in_bpf, err));
		return;
	}
	if (row.failed) {
		bool damaged = restore && session->options->verify && operation->lost;

		row.status = STATUS_PARTIAL;
		reply__fail(&session->reply, &row, "%lu chunks could not be %s%s",
			    (unsigned long)row.failed, restore ? "written" : "read",
			    damaged ? "; of some the checksum is wrong, or they could not be read "
				      "when they were saved"
				    : "");
		return;
	}
	row.status = STATUS_OK;
	if (reply__check(&session->reply, &row))
		return;
	if (!restore) {
		snapshot__commit(session->snapshot, row.chunks);
		remember_for_image(session);
	}
	reply__complete(&session->reply, &row);
}

/* ---- events ---- */

/* Reads the ring and does what is due; returns whether there was anything. */
static bool look(struct session *session)
{
	int events = ring_buffer__consume(session->events);

	switch (__atomic_load_n(&session->state->operation.phase, __ATOMIC_ACQUIRE)) {
	case PHASE_PREPARING:
		prepare(session);
		return true;
	case PHASE_COPIED:
		finish(session);
		return true;
	case PHASE_IDLE:
		if (session->state->ignored)
			reply__refuse_ignored(&session->reply);
		return events > 0;
	default:
		return events > 0;
	}
}

void session__handle(struct session *session)
{
	uint64_t deadline_ns = clock__now_ns() + AWAKE_NS;

	/* see send_from() in bpf/tracer.bpf.c: it does not wake who says to be awake */
	__atomic_store_n(&session->state->awake, session->may_spin, __ATOMIC_SEQ_CST);
	do {
		if (look(session))
			deadline_ns = clock__now_ns() + AWAKE_NS;
	} while (session->may_spin && clock__now_ns() < deadline_ns);
	__atomic_store_n(&session->state->awake, 0, __ATOMIC_SEQ_CST);
	while (look(session))
		;
}

/* The target asked, and has not polled for a while. */
static void on_silence(struct session *session)
{
	struct operation *operation = &session->state->operation;
	uint32_t ready = PHASE_READY;

	if (operation->phase == PHASE_READY && operation->threads > 1) {
		/* its other threads must not stand still for ever */
		if (__atomic_compare_exchange_n(&operation->phase, &ready, PHASE_PREPARING, false,
						__ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			reply__fail(&session->reply, NULL,
				    "the target asked and stopped polling %s",
				    control__completion_path(session->control, operation->kind));
	} else if (session->warned != operation->sequence) {
		session->warned = operation->sequence;
		log__error("process %d asked for a %s but does not poll %s with access(2)",
			   session->target.pid, reply__name(operation->kind),
			   control__completion_path(session->control, operation->kind));
	}
}

/* Creating extents takes longer than filling them: what the target has come to need is made
 * while it runs, before it asks. */
static bool provide(struct session *session)
{
	uint64_t now = clock__now_ns();
	bool more;

	if (now < session->provided_ns + PROVIDE_NS ||
	    session->state->operation.phase != PHASE_IDLE)
		return false;
	more = snapshot__provide(session->snapshot, &session->target);
	session->provided_ns = more ? 0 : now;
	return more;
}

/* Nobody answers a request that is not the target's: a child's, or one from a shell. Its file is
 * there at two ticks between which nothing was asked. */
static void look_for_strangers(struct session *session)
{
	const struct target *target = &session->target;
	uint64_t sequence = session->state->operation.sequence;

	for (int kind = 0; kind < OPERATION_KINDS && !session->stranger_told; kind++) {
		uint64_t file = control__unanswered(session->control, kind);
		const char *path = control__request_path(session->control, kind);
		bool stays = file && file == session->waiting[kind] && session->idle == sequence;

		session->waiting[kind] = file;
		if (!stays)
			continue;
		session->stranger_told = true;
		if (target->pid)
			log__error("%s is there, but process %d (%s) did not create it, and only "
				   "that process is answered: children are not followed; trace the "
				   "program itself, or start the tracer with --wait NAME and then "
				   "the program",
				   path, target->pid, target->comm);
		else
			log__error("%s is there, but %s has not been executed since the tracer "
				   "began to wait for it; start the program after the tracer",
				   path, session->options->wait_name);
	}
	session->idle = sequence;
}

static void show_progress(struct session *session)
{
	const struct operation *operation = &session->state->operation;

	if (operation->phase == PHASE_IDLE)
		progress__end(&session->progress);
	else
		progress__step(&session->progress, reply__name(operation->kind),
			       operation->slab_cursor, session->state->slabs);
}

bool session__tick(struct session *session)
{
	struct operation *operation = &session->state->operation;
	uint32_t phase;

	(void)look(session); /* a full ring wakes nobody */
	phase = operation->phase;

	if (phase == PHASE_IDLE) {
		freeze__release(session->target.freeze); /* threads that stopped late */
		look_for_strangers(session);
	}
	if (!operation->sequence && session->target.pid && !session->elsewhere)
		session->elsewhere = target__is_elsewhere(&session->target);
	if (operation->polls != session->polls_seen) {
		session->polls_seen = operation->polls;
		session->asked_ns = clock__now_ns();
	}
	if ((phase == PHASE_REQUESTED || phase == PHASE_READY) &&
	    clock__now_ns() > session->asked_ns + POLL_TIMEOUT_NS)
		on_silence(session);
	show_progress(session);
	return provide(session);
}

void session__end(struct session *session)
{
	(void)ring_buffer__consume(session->events);
	if (session->state->operation.phase != PHASE_IDLE)
		reply__fail(&session->reply, NULL, "the target ended before it was done");
	if (session->target.pid && !session->state->operation.sequence)
		log__warn("no request came from process %d%s%s%s; children are not followed, see "
			  "--wait%s",
			  session->target.pid, *session->target.comm ? " (" : "",
			  session->target.comm, *session->target.comm ? ")" : "",
			  session->elsewhere ? "; it had another root folder or mount namespace, "
					       "where the control folder is not in sight"
					     : "");
	freeze__release(session->target.freeze);
}

int session__write_map_log(struct session *session, const char *path)
{
	return map_log__write(path, &session->target, session->snapshot, session->state);
}

int session__save(struct session *session, const char *path)
{
	struct image_failure failure;
	int err = snapshot_image__write(session->image, path, session->snapshot, session->state,
					&failure);

	if (err)
		log__error("%s %s: %s", failure.step, path, image_failure__reason(&failure, err));
	return err;
}

void session__print_summary(const struct session *session, FILE *out)
{
	summary__print(session->report, session->hooks, session->snapshot, session->state,
		       session->options->stats, out);
}

void session__free(struct session *session)
{
	if (!session)
		return;
	ring_buffer__free(session->events);
	target__close(&session->target);
	snapshot_image__free(session->image);
	snapshot__free(session->snapshot);
	free(session);
}
