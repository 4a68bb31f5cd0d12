/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The target's ranges, mirrored from events and reconciled with /proc/PID/maps. state->stopped is
 * true to the kernel side from target__stop() to target__release().
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include "base/page.h"
#include "target/reason.h"
#include "target/target.h"
#include "target/userfault.h"

int target__open(struct target *target, struct state *state, struct chunk_stores *stores,
		 struct slab_store *slabs, uint32_t regions, uint64_t slab_threshold, bool child)
{
	int err;

	memset(target, 0, sizeof(*target));
	target->state = state;
	target->child = child;
	target->slabs = slabs;
	target->slab_threshold = slab_threshold;
	target->stores = stores;
	err = regions__create(regions, &target->regions);
	if (!err)
		err = chunk_snapshot__create(stores, &target->snapshot);
	return err;
}

static void read_comm(struct target *target)
{
	ssize_t length = procfs__read(target->pid, "comm", target->comm, sizeof(target->comm) - 1);

	target->comm[length > 0 ? length - 1 : 0] = '\0'; /* without its newline */
}

/* valgrind keeps the registers of the program that it runs in its own memory: rolled back, the
 * program would go on where it was at the checkpoint, on a stack that is another one by now. */
static bool is_emulated(pid_t pid)
{
	char name[PATH_MAX];

	return procfs__readlink(pid, "exe", name, sizeof(name)) > 0 && strstr(name, "/valgrind/");
}

uint64_t target__chunks(const struct intervals *ranges)
{
	uint64_t chunks = 0;

	for (size_t i = 0; i < ranges->count; i++)
		chunks += (ranges->items[i].end - (ranges->items[i].start & ~(uint64_t)CHUNK_MASK) +
			   CHUNK_MASK) /
			  CHUNK_BYTES;
	return chunks;
}

/* Everything that is registered becomes doomed. */
static int doom_all(struct target *target)
{
	int err = intervals__unite(&target->doomed, &target->tracked);

	if (!err)
		intervals__clear(&target->tracked);
	return err;
}

int target__exec(struct target *target, pid_t pid)
{
	int err = doom_all(target);

	target->pid = pid;
	target->changed = true;
	regions__forget(target->regions);
	intervals__clear(&target->large);
	intervals__clear(&target->reserved);
	slab_store__clear(target->slabs);
	target->state->has_slabs = 0;
	memory__free(target->memory);
	target->memory = NULL;
	freeze__free(target->freeze);
	target->freeze = NULL;
	target->held = false;
	read_comm(target);
	target->emulated = is_emulated(pid);
	if (!err)
		err = freeze__create(pid, target->child, &target->freeze);
	if (!err)
		err = memory__open(pid, &target->memory);
	return err;
}

/* [start, end) is gone without the hook having dropped its chunks. */
static int doom(struct target *target, uint64_t start, uint64_t end)
{
	struct intervals range = {0}, hit = {0};
	int err = intervals__add(&range, start, end);

	if (!err)
		err = intervals__intersect(&range, &target->tracked, &hit);
	if (!err)
		err = intervals__unite(&target->doomed, &hit);
	if (!err)
		err = intervals__remove(&target->tracked, start, end);
	intervals__clear(&range);
	intervals__clear(&hit);
	return err;
}

/* [start, end) of the large ranges is gone. */
static int drop_large(struct target *target, uint64_t start, uint64_t end)
{
	int err = slab_store__drop(target->slabs, start, end);

	if (!err)
		err = intervals__remove(&target->reserved, start, end);
	return err ? err : intervals__remove(&target->large, start, end);
}

int target__note(struct target *target, const struct event *event)
{
	int err = 0;

	target->changed = true;
	switch (event->kind) {
	case EVENT_ADDED:
		err = intervals__add(&target->tracked, event->start, event->end);
		if (!err)
			err = intervals__remove(&target->doomed, event->start, event->end);
		break;
	case EVENT_DROPPED:
		err = drop_large(target, event->start, event->end);
		if (!err)
			err = intervals__remove(&target->tracked, event->start, event->end);
		if (!err)
			err = intervals__remove(&target->doomed, event->start, event->end);
		break;
	case EVENT_DOOMED:
		err = drop_large(target, event->start, event->end);
		if (!err)
			err = doom(target, event->start, event->end);
		break;
	default:
		break;
	}
	return err;
}

/* Drops the chunks of every interval of set that is not in keep. */
static int drop_all(struct target *target, const struct intervals *set,
		    const struct intervals *keep)
{
	struct intervals gone = {0};
	int err = intervals__subtract(set, keep, &gone);

	for (size_t i = 0; i < gone.count && !err; i++)
		err = chunk_snapshot__drop(target->snapshot, gone.items[i].start,
					   gone.items[i].end);
	intervals__clear(&gone);
	return err;
}

/* Drops what is registered and not wanted, and registers what is wanted and not registered. */
static int follow(struct target *target, const struct intervals *wanted)
{
	struct intervals missing = {0};
	int err;

	err = drop_all(target, &target->tracked, wanted);
	if (!err) {
		err = chunk_stores__reserve(target->stores, target__chunks(wanted));
		if (err == -REASON_CHUNK_LIMIT) /* what there is room for is registered */
			err = 0;
	}
	if (!err)
		err = intervals__subtract(wanted, &target->tracked, &missing);
	if (!err) { /* the mirror first loses what went, then gains what came, bit by bit */
		struct intervals kept = {0};

		err = intervals__intersect(&target->tracked, wanted, &kept);
		intervals__clear(&target->tracked);
		target->tracked = kept;
	}
	for (size_t i = 0; i < missing.count && !err; i++) {
		uint64_t start = missing.items[i].start, done;

		err = chunk_snapshot__add(target->snapshot, start, missing.items[i].end, &done);
		if (intervals__add(&target->tracked, start, done) && !err)
			err = -ENOMEM;
	}
	intervals__clear(&missing);
	return err;
}

/* Sorts what is wanted into small ranges, for chunks, and large ones, for slabs. What begins inside
 * a page, as a bss does, is begun with chunks. */
static int sort_ranges(const struct target *target, const struct intervals *wanted,
		       struct intervals *ret_small, struct intervals *ret_large)
{
	int err = 0;

	for (size_t i = 0; i < wanted->count && !err; i++) {
		uint64_t start = wanted->items[i].start, end = wanted->items[i].end;
		uint64_t first = page__round_up(start);

		if (first > end)
			first = end;
		if (end - start < target->slab_threshold)
			err = intervals__add(ret_small, start, end);
		else
			err = intervals__add(ret_small, start, first);
		if (!err && end - start >= target->slab_threshold)
			err = intervals__add(ret_large, first, end);
	}
	return err;
}

/* For a checkpoint: everything that is wanted has its place, and of the reservations what is not
 * wanted anyway. */
static int place(struct target *target, const struct intervals *wanted,
		 const struct intervals *reserved)
{
	struct intervals small = {0}, large = {0}, rest = {0};
	int err = sort_ranges(target, wanted, &small, &large);

	if (!err)
		err = intervals__subtract(reserved, wanted, &rest);
	if (!err)
		err = follow(target, &small);
	if (!err) {
		intervals__clear(&target->large);
		intervals__clear(&target->reserved);
		target->large = large;
		target->reserved = rest;
		target->state->has_slabs = large.count || rest.count;
		target->state->unplaced = 0;
	} else {
		intervals__clear(&large);
		intervals__clear(&rest);
	}
	intervals__clear(&small);
	return err;
}

/* For a restore: what is neither wanted any more nor reserved is gone. */
static int prune(struct target *target, const struct intervals *wanted,
		 const struct intervals *reserved)
{
	struct intervals small = {0}, gone = {0}, mapped = {0};
	int err = intervals__intersect(&target->tracked, wanted, &small);

	if (!err)
		err = follow(target, &small);
	if (!err)
		err = intervals__unite(&mapped, wanted);
	if (!err)
		err = intervals__unite(&mapped, reserved);
	if (!err)
		err = intervals__subtract(slab_store__ranges(target->slabs), &mapped, &gone);
	for (size_t i = 0; i < gone.count && !err; i++)
		err = drop_large(target, gone.items[i].start, gone.items[i].end);
	intervals__clear(&small);
	intervals__clear(&gone);
	intervals__clear(&mapped);
	return err;
}

/* Is something wanted that has no place yet? A restore must leave it alone, but from then on nobody
 * else remembers that the next checkpoint has to register it. */
static int look_for_unplaced(struct target *target, const struct intervals *wanted)
{
	struct intervals rest = {0}, missing = {0};
	int err = intervals__subtract(wanted, &target->tracked, &rest);

	if (!err)
		err = intervals__subtract(&rest, &target->large, &missing);
	if (missing.count)
		target->state->unplaced = 1;
	intervals__clear(&rest);
	intervals__clear(&missing);
	return err;
}

/* What is tracked, in chunks or in slabs; reservations are not. */
static int all_tracked(const struct target *target, struct intervals *ret)
{
	int err = intervals__unite(ret, &target->tracked);

	return err ? err : intervals__unite(ret, &target->large);
}

int target__reconcile(struct target *target, enum operation_kind kind)
{
	uint64_t lost =
		__atomic_load_n(&target->state->counters[COUNTER_EVENTS_LOST], __ATOMIC_ACQUIRE);
	struct intervals wanted = {0}, reserved = {0}, tracked = {0}, none = {0};
	bool forgotten = lost != target->events_lost;
	int err = 0;

	if (!target->memory)
		return -ESRCH;
	if (target->emulated)
		return -REASON_EMULATED;
	if (forgotten) { /* which entries are of which mapping, nobody can tell now */
		target->state->valid = 0;
		err = chunk_snapshot__drop_all(target->snapshot);
		slab_store__clear(target->slabs);
		intervals__clear(&target->tracked);
		intervals__clear(&target->doomed);
	}
	if (!err)
		err = memory__refresh(target->memory);
	target->changed = err != 0;
	if (!err)
		err = drop_all(target, &target->doomed, &none);
	if (!err) {
		intervals__clear(&target->doomed);
		err = all_tracked(target, &tracked);
	}
	if (!err)
		err = regions__wanted(target->regions, target->pid,
				      memory__mappings(target->memory), &tracked, &wanted,
				      &reserved);
	if (!err && (kind == OPERATION_CHECKPOINT || forgotten))
		err = place(target, &wanted, &reserved);
	else if (!err)
		err = prune(target, &wanted, &reserved);
	if (!err && kind == OPERATION_RESTORE)
		err = look_for_unplaced(target, &wanted);
	intervals__clear(&wanted);
	intervals__clear(&reserved);
	intervals__clear(&tracked);
	if (err)
		return err;
	target->events_lost = lost;
	return forgotten ? -REASON_EVENTS_LOST : 0;
}

int target__find_pages(struct target *target, enum operation_kind kind)
{
	struct intervals ranges = {0};
	int err = memory__look_again(target->memory, target->changed);

	if (err)
		return err;
	target->changed = false;
	if (kind == OPERATION_RESTORE)
		return slab_store__begin_restore(target->slabs, target->memory);
	err = intervals__unite(&ranges, &target->large);
	if (!err)
		err = intervals__unite(&ranges, &target->reserved);
	if (!err)
		err = slab_store__begin_checkpoint(target->slabs, &ranges, target->memory);
	intervals__clear(&ranges);
	return err;
}

int target__check_userfault(const struct target *target)
{
	struct intervals ranges = {0};
	int err = all_tracked(target, &ranges);

	if (!err)
		err = intervals__unite(&ranges, &target->reserved);
	if (!err)
		err = userfault__check(target->pid, &ranges);
	intervals__clear(&ranges);
	return err;
}

int target__count_pages(struct target *target, uint64_t *ret_pages)
{
	struct intervals wanted = {0}, small = {0}, large = {0}, pages = {0};
	int err;

	if (!target->memory)
		return -ESRCH;
	if (!memory__can_scan(target->memory))
		return -EOPNOTSUPP;
	err = memory__refresh(target->memory);
	if (!err)
		err = regions__wanted(target->regions, target->pid,
				      memory__mappings(target->memory), &target->large, &wanted,
				      NULL);
	if (!err)
		err = sort_ranges(target, &wanted, &small, &large);
	for (size_t i = 0; i < large.count && !err; i++)
		err = memory__data_pages(target->memory, large.items[i].start, large.items[i].end,
					 &pages);
	if (!err)
		*ret_pages = intervals__bytes(&pages) / PAGE_BYTES;
	intervals__clear(&wanted);
	intervals__clear(&small);
	intervals__clear(&large);
	intervals__clear(&pages);
	return err;
}

int target__stop(struct target *target, pid_t except)
{
	int err = freeze__stop(target->freeze, except);

	target->state->stopped = !err;
	return err;
}

int target__step(struct target *target)
{
	struct operation *operation = &target->state->operation;
	int err;

	err = freeze__step_to_poll(target->freeze, (pid_t)operation->tid, &operation->polls);
	if (!err)
		target->held = true;
	return err;
}

int target__hold(struct target *target)
{
	int err;

	if (target->held)
		return 0;
	err = target__stop(target, 0);
	return err ? err : target__step(target);
}

void target__release(struct target *target)
{
	target->state->stopped = 0;
	target->held = false;
	freeze__release(target->freeze);
}

void target__close(struct target *target)
{
	intervals__clear(&target->tracked);
	intervals__clear(&target->doomed);
	intervals__clear(&target->large);
	intervals__clear(&target->reserved);
	freeze__free(target->freeze);
	memory__free(target->memory);
	regions__free(target->regions);
	chunk_snapshot__free(target->snapshot);
	memset(target, 0, sizeof(*target));
}
