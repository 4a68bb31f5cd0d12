/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See session.h. Events of the kernel side come through the ring, and can be lost. So an operation
 * goes by its phase (operations.h).
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/progress.h"
#include "operation/operations.h"
#include "report/map_log.h"
#include "report/snapshot_image.h"
#include "report/summary.h"
#include "operation/rollbacks.h"
#include "session.h"
#include "engine/snapshot.h"
#include "target/reason.h"
#include "target/target.h"

enum {
	AWAKE_NS = 200000,      /* look again for so long after the last event before sleeping */
	AT_MOST_NS = 10000000,  /* before others than the target are looked at */
	PROVIDE_NS = 500000000, /* how often to look whether more extents are needed */
};

struct session {
	const struct options *options;
	struct control *control;
	struct hooks *hooks;
	struct report *report;
	struct state *state;
	struct ring_buffer *events;
	struct snapshot *snapshot;
	struct target target;
	struct snapshot_image *image; /* NULL: not wanted */
	struct operations operations;
	struct rollbacks rollbacks;
	uint64_t provided_ns;              /* when all extents that were needed were there */
	uint64_t waiting[OPERATION_KINDS]; /* request files that were there at the last tick */
	uint64_t idle;                     /* sequence of the last request at that time */
	uint64_t asked;                    /* sequence of the last request of the target */
	enum operation_kind asked_kind;
	bool overtaken[OPERATION_KINDS]; /* its request was, by one of another kind */
	bool moves_told;                 /* calls of mremap(2) that have failed */
	bool astray_told;                /* a target that a restore brought back too far */
	bool stranger_told;              /* somebody else's request was noticed */
	bool elsewhere;                  /* the target has another root or mount namespace */
	struct progress progress;        /* of a copy that takes many polls */
	bool may_spin;
};

static void on_exec(struct session *session, const struct event *event)
{
	int err = snapshot__note(session->snapshot, event);

	if (err)
		goto out;
	session->operations.reply.restored = 0;
	rollbacks__exec(&session->rollbacks, (pid_t)event->pid, session->options->socket_path);
	err = target__exec(&session->target, (pid_t)event->pid);
	log__debug("tracing process %u (%s)", event->pid, session->target.comm);
out:
	if (err && err != -ESRCH)
		log__error("cannot follow process %u: %s", event->pid, reason__text(err));
}

/* A request overtakes an earlier one that no poll has come for. */
static void note_request(struct session *session, uint64_t sequence, enum operation_kind kind)
{
	if (kind >= OPERATION_KINDS)
		return;
	if (session->asked && session->asked_kind != kind &&
	    __atomic_load_n(&session->state->answered, __ATOMIC_ACQUIRE) < session->asked)
		session->overtaken[session->asked_kind] = true;
	session->overtaken[kind] = false;
	session->asked = sequence;
	session->asked_kind = kind;
}

static int on_event(void *context, void *data, size_t size)
{
	struct session *session = context;
	const struct event *event = data;

	if (size != sizeof(*event))
		return 0;
	switch (event->kind) {
	case EVENT_EXEC:
		on_exec(session, event);
		break;
	case EVENT_REQUEST: /* the poll is to come, and finds us awake */
		note_request(session, event->start, (enum operation_kind)event->end);
		operations__expect_poll(&session->operations, event->start);
		break;
	case EVENT_WAKE:
	case EVENT_PREPARE:
	case EVENT_COPIED:
		break;
	default:
		session->target.changed = true;
		if (snapshot__note(session->snapshot, event))
			log__error("no memory to follow the target's mappings");
	}
	return 0;
}

static int open_snapshot(struct session *session, bool restore_in_bpf)
{
	const struct options *options = session->options;
	const struct snapshot_settings settings = {
		.slab_threshold = options->slab_threshold,
		.ready_chunks = options->ready_chunks,
		.max_chunks = options->max_chunks,
		.paged = {.dirty_way = options->dirty_way,
			  .pages_per_poll = (uint32_t)options->pages_per_poll,
			  .restore_in_bpf = restore_in_bpf,
			  .restore_all = options->restore_all,
			  .verify = options->verify},
	};

	return snapshot__open(&settings, session->hooks, session->state, &session->snapshot);
}

static int open_target(struct session *session)
{
	const struct options *options = session->options;
	int err = target__open(&session->target, session->state, options->regions,
			       !options->wait_name, options__name(options));

	if (err)
		return err;
	if (options->save) {
		err = snapshot_image__create(&session->image);
		if (err)
			return err;
	}
	session->events =
		ring_buffer__new(hooks__events_fd(session->hooks), on_event, session, NULL);
	return session->events ? 0 : -errno;
}

static void init_operations(struct session *session, bool restore_in_bpf)
{
	session->operations = (struct operations){
		.state = session->state,
		.events = session->events,
		.snapshot = session->snapshot,
		.target = &session->target,
		.image = session->image,
		.rollbacks = &session->rollbacks,
		.reply = {.control = session->control,
			  .report = session->report,
			  .target = &session->target,
			  .snapshot = session->snapshot,
			  .state = session->state},
		.silence = {.state = session->state, .reply = &session->operations.reply},
		.restore_in_bpf = restore_in_bpf,
		.verify = session->options->verify,
	};
	rollbacks__init(&session->rollbacks, session->snapshot, &session->operations.reply,
			!session->options->wait_name);
}

int session__create(const struct options *options, struct control *control, struct hooks *hooks,
		    struct report *report, bool restore_in_bpf, struct session **ret_session)
{
	struct session *session = calloc(1, sizeof(*session));
	cpu_set_t cpus;
	int err;

	if (!session)
		return -ENOMEM;
	session->options = options;
	session->control = control;
	session->hooks = hooks;
	session->report = report;
	session->state = hooks__state(hooks);
	/* with one processor, staying awake would only keep the target from running */
	session->may_spin = !sched_getaffinity(0, sizeof(cpus), &cpus) && CPU_COUNT(&cpus) > 1;
	err = open_snapshot(session, restore_in_bpf);
	if (err) /* it has said why */
		goto out;
	err = open_target(session);
	if (err) {
		log__error("cannot set up the session: %s", reason__text(err));
		goto out;
	}
	init_operations(session, restore_in_bpf);
	*ret_session = session;
	session = NULL;
out:
	session__free(session);
	return err;
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
	return session->operations.reply.has_failed || session->rollbacks.commands.has_broken;
}

/* ---- events ---- */

/* Reads the ring and does what is due; returns whether there was anything. */
static bool look(struct session *session)
{
	int events = ring_buffer__consume(session->events);

	return operations__step(&session->operations) || events > 0;
}

void session__handle(struct session *session)
{
	const uint64_t end_ns = clock__now_ns() + AT_MOST_NS;
	uint64_t now_ns = clock__now_ns(), deadline_ns = now_ns + AWAKE_NS;
	bool active;

	/* send_from() in bpf/tracer.bpf.c then sends no wake-up */
	__atomic_store_n(&session->state->awake, session->may_spin, __ATOMIC_SEQ_CST);
	do {
		active = look(session);
		now_ns = clock__now_ns();
		if (active) /* an operation may take longer than AWAKE_NS */
			deadline_ns = now_ns + AWAKE_NS;
	} while (session->may_spin && now_ns < deadline_ns && now_ns < end_ns);
	__atomic_store_n(&session->state->awake, 0, __ATOMIC_SEQ_CST);
	while (look(session))
		;
}

int session__socket_fd(const struct session *session)
{
	return rollbacks__fd(&session->rollbacks);
}

bool session__serve(struct session *session)
{
	(void)look(session);
	if (operations__is_under_way(&session->operations))
		return true;
	freeze__release(session->target.freeze); /* threads that stopped late */
	return rollbacks__serve(&session->rollbacks);
}

bool session__is_detached(const struct session *session)
{
	return session->rollbacks.commands.is_detached;
}

/* Creating extents takes longer than filling them. So missing ones are made while the target runs,
 * before it asks. */
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

/* Nobody answers a request of another process, such as a child or a shell. */
static void tell_stranger(struct session *session, enum operation_kind kind)
{
	const struct target *target = &session->target;
	const char *path = control__request_path(session->control, kind);

	session->stranger_told = true;
	if (target->pid)
		log__error("%s is there, but process %d (%s) did not create it by open(2), and "
			   "children are not followed; trace the program itself, or start the "
			   "tracer with --wait NAME and then the program",
			   path, target->pid, target->comm);
	else
		log__error("%s is there, but %s has not been executed since the tracer began to "
			   "wait for it; start the program after the tracer",
			   path, session->options->wait_name);
}

/* The target waits for an answer that would not come: its next request was another one. */
static void refuse_overtaken(struct session *session, enum operation_kind kind)
{
	const struct target *target = &session->target;

	session->overtaken[kind] = false;
	session->operations.reply.has_failed = true;
	log__error("a %s of process %d (%s) has failed: it asked for something else before it "
		   "polled for the answer; ask for one thing at a time",
		   report__kind_name(kind), target->pid, target->comm);
	control__refuse(session->control, kind, session->state->operation.uid);
}

/* Notices such a request by its file, which is there at two ticks. A stranger's is told only if the
 * target has not asked between them. */
static void look_for_strangers(struct session *session)
{
	uint64_t sequence = session->state->operation.sequence;

	for (int kind = 0; kind < OPERATION_KINDS; kind++) {
		uint64_t file = control__unanswered(session->control, kind);
		bool stays = file && file == session->waiting[kind];

		session->waiting[kind] = file;
		if (stays && session->overtaken[kind])
			refuse_overtaken(session, kind);
		else if (stays && session->idle == sequence && !session->stranger_told)
			tell_stranger(session, kind);
	}
	session->idle = sequence;
}

/* An interpreter keeps the frames of its script in the heap. A restore brings the script back into
 * the poll of the checkpoint. The answer to that was removed long ago. */
static void look_for_astray(struct session *session)
{
	uint64_t restore = session->operations.reply.restored;

	if (session->state->astray < ASTRAY_POLLS || session->astray_told || !restore ||
	    restore != session->state->operation.sequence)
		return;
	session->astray_told = true;
	log__error("process %d (%s) polls %s again, without a request: restore %lu has brought it "
		   "back to that poll, as it does to scripts, for interpreters keep their frames "
		   "in the heap; see Languages in docs/protocol.md",
		   session->target.pid, session->target.comm,
		   control__completion_path(session->control, OPERATION_CHECKPOINT),
		   (unsigned long)restore);
}

/* mremap(2) takes one mapping, and the kernel does not merge a tracked mapping with a newer one. */
static void look_for_refused_moves(struct session *session)
{
	if (session->moves_told || session->options->dirty_way == DIRTY_COMPARE ||
	    !session->state->counters[COUNTER_MOVES_REFUSED])
		return;
	session->moves_told = true;
	log__error("a call of mremap(2) of process %d (%s) has failed with EFAULT, perhaps because "
		   "a part of the memory is tracked and a newer part is not; with --dirty compare "
		   "none is tracked",
		   session->target.pid, session->target.comm);
}

static void show_progress(struct session *session)
{
	const struct operation *operation = &session->state->operation;

	uint64_t done, pages;

	if (operation->phase == PHASE_IDLE) {
		progress__end(&session->progress);
		return;
	}
	snapshot__progress(session->snapshot, &done, &pages);
	progress__step(&session->progress, report__kind_name(operation->kind), done, pages);
}

bool session__tick(struct session *session)
{
	const struct operation *operation = &session->state->operation;

	(void)look(session); /* a full ring wakes nobody */
	if (operation->phase == PHASE_IDLE) {
		freeze__release(session->target.freeze); /* threads that stopped late */
		rollbacks__tick(&session->rollbacks);
		look_for_strangers(session);
		look_for_astray(session);
		look_for_refused_moves(session);
	}
	if (!operation->sequence && session->target.pid && !session->elsewhere)
		session->elsewhere = target__is_elsewhere(&session->target);
	silence__watch(&session->operations.silence);
	show_progress(session);
	return provide(session);
}

/* Says why nothing was done, also to a user who wants errors only: all was in vain. */
static void tell_unasked(struct session *session)
{
	const struct target *target = &session->target;

	for (int kind = 0; kind < OPERATION_KINDS; kind++) {
		if (!control__unanswered(session->control, kind))
			continue;
		if (session->overtaken[kind])
			refuse_overtaken(session, kind);
		else if (!session->stranger_told)
			tell_stranger(session, kind);
	}
	if (!target->pid || session->state->operation.sequence || session->stranger_told ||
	    session->rollbacks.was_asked)
		return;
	log__error("no request came from process %d (%s): it created no control file in %s, or may "
		   "not (permissions, seccomp); children are not followed, see --wait%s",
		   target->pid, target->comm, control__folder(session->control),
		   control__is_replaced(session->control)
			   ? "; somebody has removed or replaced the control folder"
		   : session->elsewhere ? "; it had another root folder or mount namespace, where "
					  "the control folder is not in sight"
					: "");
}

/* Most often, a program that crashes after a restore does so because of it. */
static void tell_crash(const struct session *session, int signal)
{
	static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP};
	uint64_t restore = session->operations.reply.restored;

	for (size_t i = 0; restore && i < sizeof(crashes) / sizeof(*crashes); i++)
		if (signal == crashes[i])
			log__error("process %d (%s) was ended by signal %d (%s) after restore "
				   "%lu. A restore leaves registers, the main stack and what "
				   "--regions does not name as they are: interpreters, static "
				   "programs, other allocators and threads that worked on may not "
				   "bear that; see NOTES in tracer(8)",
				   session->target.pid, session->target.comm, signal,
				   strsignal(signal), (unsigned long)restore);
}

void session__end(struct session *session, int signal)
{
	(void)ring_buffer__consume(session->events);
	operations__end(&session->operations);
	look_for_refused_moves(session);
	tell_unasked(session);
	tell_crash(session, signal);
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
		log__error("%s %s: %s", failure.step, path,
			   failure.reason ? failure.reason : reason__text(err));
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
	rollbacks__close(&session->rollbacks);
	free(session);
}
