/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Going back to a checkpoint: attach__rollback(). First everything is looked at that can refuse,
 * and all memory is found that is needed; then threads, mappings, bytes and registers are changed.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "attach/attach.h"
#include "attach/attach_state.h"
#include "attach/layout.h"
#include "attach/limits.h"
#include "attach/registrations.h"
#include "attach/remake.h"
#include "attach/rollback_pages.h"
#include "base/page.h"
#include "target/fault_injection.h"
#include "target/reason.h"
#include "target/userfault.h"

/* A thread that is to be ended. */
struct surplus {
	pid_t tid;
	struct inject *inject;
};

struct rollback {
	struct attach *attach;
	struct checkpoint *to;
	struct mappings room;
	const struct mappings *now; /* room, or those of base */
	struct layout_change change;
	struct intervals fresh; /* what is mapped again */
	struct registrations registrations;
	struct rollback_pages pages;
	struct surplus *surplus;
	size_t surplus_count;
	struct inject *inject; /* NULL: no call is needed */
	struct limits limits;
	bool closes; /* what was opened since */
	uint32_t mapped, unmapped;
};

/* ---- threads ---- */

static int look_at_threads(struct rollback *r)
{
	struct attach *attach = r->attach;
	struct threads now = {0};
	int err = thread_watch__list(attach->threads, attach->freeze, &now);

	if (err)
		return err;
	err = attach_state__check_sharers(attach, &now);
	if (err)
		goto out;
	for (size_t i = 0; i < r->to->threads.count; i++)
		if (!threads__have(&now, &r->to->threads.items[i]))
			err = -REASON_THREAD_ENDED;
	if (err) {
		(void)threads__are_same(&r->to->threads, &now, attach->detail,
					sizeof(attach->detail));
		goto out;
	}
	r->surplus = calloc(now.count, sizeof(*r->surplus));
	if (!r->surplus)
		err = -ENOMEM;
	for (size_t i = 0; i < now.count && !err; i++) {
		struct surplus *surplus = &r->surplus[r->surplus_count];

		if (threads__have(&r->to->threads, &now.items[i]))
			continue;
		surplus->tid = now.items[i].tid;
		err = inject__open_held(attach->pid, surplus->tid, &surplus->inject);
		r->surplus_count += !err;
	}
out:
	threads__clear(&now);
	return err;
}

static int end_surplus(struct rollback *r)
{
	int err = 0;

	for (size_t i = 0; i < r->surplus_count && !err; i++) {
		err = inject__exit(r->surplus[i].inject);
		r->surplus[i].inject = NULL;
		freeze__forget(r->attach->freeze, r->surplus[i].tid);
	}
	return err;
}

static int write_registers(const struct rollback *r)
{
	const struct checkpoint *to = r->to;
	int err = 0;

	for (size_t i = 0; i < to->threads.count && !err; i++)
		err = registers__write(to->threads.items[i].tid, &to->registers[i]);
	freeze__keep_registers(r->attach->freeze);
	return err;
}

/* ---- mappings ---- */

static void name_mapping(struct attach *attach, const struct mapping *mapping)
{
	(void)snprintf(attach->detail, sizeof(attach->detail), "%lx-%lx %s",
		       (unsigned long)mapping->start, (unsigned long)mapping->end, mapping->path);
}

static int count_fresh(struct rollback *r, const struct layout_change *change)
{
	int err = 0;

	for (size_t i = 0; i < change->map.count && !err; i++)
		err = intervals__add(&r->fresh, change->map.items[i].start,
				     change->map.items[i].end);
	r->mapped += (uint32_t)change->map.count;
	r->unmapped += (uint32_t)change->unmap.count;
	return err;
}

static int look_at_mappings(struct rollback *r)
{
	const struct mapping *gone = NULL;
	int err = attach_state__look(r->attach, &r->room, &r->now);

	if (err)
		goto out;
	if (r->now != &r->to->mappings) {
		err = layout__compare(&r->to->mappings, r->now, &r->change, &gone);
		if (err)
			goto out;
	}
	err = remake__check_files(r->attach->pid, &r->change, &gone);
out:
	if (err == -REASON_MEMORY_GONE && gone)
		name_mapping(r->attach, gone);
	return err ? err : count_fresh(r, &r->change);
}

/* ---- files ---- */

/* It takes as long as all else. So if files are only named, the process still runs. */
static int look_at_files(struct rollback *r)
{
	struct attach *attach = r->attach;
	struct open_files now = {0};
	int err = open_files__read(attach->files_fd, &now);

	if (err)
		goto out;
	err = open_files__subtract(&now, &r->to->files, &attach->opened);
	if (err)
		goto out;
	err = open_files__subtract(&r->to->files, &now, &attach->closed);
out:
	attach->were_closed = r->closes;
	open_files__clear(&now);
	return err;
}

static bool has_to_close(const struct rollback *r)
{
	return r->closes && r->attach->opened.count;
}

/* A descriptor that cannot be closed cleanly (EIO) is closed all the same, close(2). */
static int close_files(struct rollback *r)
{
	const struct open_files *files = &r->attach->opened;
	int64_t value;
	int err = 0;

	for (size_t i = 0; i < files->count && !err; i++)
		err = inject__call(r->inject, SYS_close,
				   (const uint64_t[6]){(uint64_t)files->items[i].fd}, &value);
	return err;
}

/* ---- all together ---- */

static bool has_advice(const struct rollback_pages *pages)
{
	return pages->discard.count || pages->unguard.count || pages->guard.count;
}

/* Finds the addresses that the calls change. The calls must be made from other addresses. */
static int find_changed(const struct rollback *r, struct intervals *ret)
{
	enum { SETS = 4 };
	const struct intervals *const sets[SETS] = {&r->change.unmap, &r->fresh, &r->pages.discard,
						    &r->pages.guard};
	int err = 0;

	for (size_t i = 0; i < SETS && !err; i++)
		err = intervals__unite(ret, sets[i]);
	for (size_t i = 0; i < r->change.protect.count && !err; i++)
		err = intervals__add(ret, r->change.protect.items[i].start,
				     r->change.protect.items[i].end);
	return err;
}

/* The oldest thread of the checkpoint makes the calls. */
static int open_inject(struct rollback *r)
{
	struct intervals changed = {0};
	int err = find_changed(r, &changed);

	if (err)
		goto out;
	err = inject__open_held(r->attach->pid, r->to->threads.items[0].tid, &r->inject);
	if (err)
		goto out;
	err = inject__avoid(r->inject, &changed);
out:
	intervals__clear(&changed);
	return err;
}

/* May the process do what is needed, as it is now? */
static int try_calls(struct rollback *r)
{
	struct attach *attach = r->attach;
	const struct mapping *mapping = NULL;
	int err = remake__check_seals(r->inject, r->now, &r->change, &mapping);
	size_t used;

	if (err) {
		name_mapping(attach, mapping);
		return err;
	}
	err = remake__check_rights(r->inject, r->now, &r->change, &mapping);
	if (!err)
		err = remake__check_access(attach->pid, r->inject, attach->memory, r->now,
					   &r->change, &mapping);
	if (!err)
		return limits__check(attach->pid, r->now, &r->change);
	if (err == -ESRCH)
		return err;
	name_mapping(attach, mapping);
	if (err == -REASON_MEMORY_GONE)
		return err;
	used = strlen(attach->detail);
	(void)snprintf(attach->detail + used, sizeof(attach->detail) - used, " (%s)",
		       reason__text(err));
	return -REASON_MEMORY_GONE;
}

/* Tries the calls, after which the thread gets its registers back: nothing has changed yet. */
static int rehearse(struct rollback *r)
{
	const struct freeze *freeze = r->attach->freeze;
	int err = freeze__kill_on_death(freeze, true), closing;

	if (err)
		return err;
	limits__raise(&r->limits, r->attach->pid);
	err = try_calls(r);
	limits__put_back(&r->limits);
	closing = inject__close(r->inject);
	r->inject = NULL;
	(void)freeze__kill_on_death(freeze, false);
	if (err)
		return err;
	return closing ? closing : open_inject(r);
}

/* Looks at everything that can refuse. Nothing is changed. */
static int look(struct rollback *r)
{
	struct attach *attach = r->attach;
	int err = look_at_threads(r);

	if (err)
		return err;
	err = r->closes ? look_at_files(r) : 0;
	if (err)
		return err;
	err = look_at_mappings(r);
	if (err)
		return err;
	err = registrations__find(attach, r->to, &r->registrations);
	if (err)
		return err;
	err = rollback_pages__find(&r->pages, attach, r->to, &r->change, &r->fresh);
	if (err)
		return err;
	err = rollback_pages__check_files(&r->pages, r->now, &r->fresh);
	if (err)
		return err;
	err = attach->serves_faults ? userfault__check(attach->pid, &r->pages.touched) : 0;
	if (err)
		return err;
	if (!layout__is_same(&r->change) || has_advice(&r->pages) || has_to_close(r))
		err = open_inject(r);
	if (!err)
		err = fault_injection__pass("rollback", attach->pid);
	return err || layout__is_same(&r->change) ? err : rehearse(r);
}

/*
 * Joins mappings that were one at the checkpoint. The kernel has merged a new mapping with
 * its neighbour if both are armed, one of them has not been written, and both have the same flags.
 * Not all flags can be read. It never merges mappings of two opens of a file.
 */
static int make_one(struct rollback *r, struct layout_change *again)
{
	struct mappings now = {0};
	int err = procfs__mappings(r->attach->pid, &now);

	if (err)
		goto out;
	err = layout__find_split(&r->to->mappings, &now, &r->change, again);
	if (err)
		goto out;
	err = inject__avoid(r->inject, &again->unmap);
	if (err)
		goto out;
	err = remake__mappings(r->inject, r->attach->memory, again);
	if (err)
		goto out;
	err = count_fresh(r, again);
	if (err)
		goto out;
	err = rollback_pages__add(&r->pages, &again->unmap);
out:
	(void)attach_state__arm(r->attach, &r->to->mappings, &again->unmap);
	procfs__free_mappings(&now);
	return err;
}

/* Are the mappings those of the checkpoint now? */
static int check_mappings(const struct rollback *r)
{
	struct mappings now = {0};
	int err = procfs__mappings(r->attach->pid, &now);

	if (!err && !layout__covers(&r->to->mappings, &now))
		err = -EFAULT;
	procfs__free_mappings(&now);
	return err;
}

static int make_mappings(struct rollback *r)
{
	struct attach *attach = r->attach;
	struct layout_change again = {0};
	int err;

	(void)attach_state__arm(attach, r->now, &attach->changes.unarmed);
	err = remake__mappings(r->inject, attach->memory, &r->change);
	if (err)
		return err;
	(void)attach_state__arm(attach, &r->to->mappings, &r->fresh);
	err = make_one(r, &again);
	layout__clear(&again);
	return err ? err : check_mappings(r);
}

static int make_calls(struct rollback *r)
{
	int err = 0, closing;

	if (!r->inject)
		return 0;
	if (!layout__is_same(&r->change)) {
		err = make_mappings(r);
		if (err)
			goto out;
	}
	err = remake__advise(r->inject, &r->pages.discard, REMAKE_DISCARD);
	if (err)
		goto out;
	err = remake__advise(r->inject, &r->pages.unguard, REMAKE_REMOVE_GUARD);
	if (err)
		goto out;
	err = remake__advise(r->inject, &r->pages.guard, REMAKE_GUARD);
	if (err)
		goto out;
	if (has_to_close(r))
		err = close_files(r);
out:
	closing = inject__close(r->inject);
	r->inject = NULL;
	return err ? err : closing;
}

/* Changes the process, from threads to registers. */
static int change(struct rollback *r)
{
	const struct freeze *freeze = r->attach->freeze;
	const pid_t pid = r->attach->pid;
	int err = freeze__kill_on_death(freeze, true);

	if (err)
		goto out;
	if (!layout__is_same(&r->change))
		limits__raise(&r->limits, pid);
	err = registrations__take_away(&r->registrations, r->attach);
	if (err)
		goto out;
	err = end_surplus(r);
	if (err)
		goto out;
	err = fault_injection__pass("ended", pid);
	if (err)
		goto out;
	err = make_calls(r);
	if (err)
		goto out;
	err = fault_injection__pass("mapped", pid);
	if (err)
		goto out;
	err = rollback_pages__write(&r->pages);
	if (err)
		goto out;
	err = registrations__put_back(&r->registrations, r->attach);
	if (err)
		goto out;
	err = fault_injection__pass("written", pid);
	if (err)
		goto out;
	err = write_registers(r);
	if (err)
		goto out;
	err = fault_injection__pass("registers", pid);
out:
	limits__put_back(&r->limits);
	return err;
}

static int stop_for_good(pid_t tid, void *argument)
{
	const struct attach *attach = argument;

	(void)syscall(SYS_tgkill, attach->process, tid, SIGSTOP);
	return 0;
}

/* Leaves the process stopped, half restored. */
static void give_up(struct rollback *r, int err)
{
	struct attach *attach = r->attach;

	(void)snprintf(attach->detail, sizeof(attach->detail), "%s", reason__text(err));
	(void)freeze__for_each(attach->freeze, stop_for_good, attach);
	(void)freeze__kill_on_death(attach->freeze, false);
	attach_state__lose_base(attach);
}

static int roll_back(struct rollback *r)
{
	struct attach *attach = r->attach;
	int err = look(r);

	if (err)
		return err;
	err = change(r);
	if (err == -ESRCH)
		return err;
	if (err) {
		give_up(r, err);
		return -REASON_HALF_DONE;
	}
	registrations__are_those_of(attach, r->to);
	attach_state__set_base(attach, r->to, &r->pages.touched);
	return 0;
}

static void clear(struct rollback *r)
{
	for (size_t i = 0; i < r->surplus_count; i++)
		(void)inject__close(r->surplus[i].inject);
	(void)inject__close(r->inject);
	free(r->surplus);
	procfs__free_mappings(&r->room);
	registrations__clear(&r->registrations);
	layout__clear(&r->change);
	intervals__clear(&r->fresh);
	rollback_pages__clear(&r->pages);
}

static int stop_and_roll_back(struct rollback *r, uint64_t *ret_stop_ns)
{
	struct attach *attach = r->attach;
	int err = attach_state__stop(attach, true);

	if (err)
		return err;
	err = roll_back(r);
	if (!err && attach->returned)
		attach->returned(r->to->name, attach->argument);
	freeze__release(attach->freeze);
	if (err)
		return err;
	if (freeze__has_ended(attach->freeze))
		return -ESRCH;
	*ret_stop_ns = freeze__stop_ns(attach->freeze);
	return 0;
}

static int run(struct attach *attach, const char *name, bool closes,
	       struct attach_result *ret_result)
{
	struct rollback r = {
		.attach = attach, .to = checkpoints__find(&attach->list, name), .closes = closes};
	uint64_t stop_ns = 0;
	int err;

	*attach->detail = '\0';
	if (!r.to)
		return name ? -REASON_UNKNOWN_NAME : -REASON_NO_CHECKPOINT;
	err = closes ? 0 : look_at_files(&r);
	if (err)
		goto out;
	err = stop_and_roll_back(&r, &stop_ns);
	if (err)
		goto out;
	attach->rollbacks++;
	*ret_result = (struct attach_result){
		.pages = r.pages.count,
		.bytes = r.pages.count * PAGE_BYTES,
		.stop_ns = stop_ns,
		.found = attach->found,
		.threads = (uint32_t)r.to->threads.count,
		.ended = (uint32_t)r.surplus_count,
		.unmapped = r.unmapped,
		.mapped = r.mapped,
	};
	memcpy(ret_result->name, r.to->name, sizeof(ret_result->name));
out:
	clear(&r);
	return attach_state__cause(attach, err);
}

int attach__rollback(struct attach *attach, const char *name, struct attach_result *ret_result)
{
	return run(attach, name, false, ret_result);
}

int attach__rollback_and_close(struct attach *attach, const char *name,
			       struct attach_result *ret_result)
{
	return run(attach, name, true, ret_result);
}
