/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The target as user space knows it: who it is, which ranges of it are registered, and whether it
 * stands still.
 *
 * tracked mirrors what is in the chunk store. The hooks keep store and mirror (by events) in step
 * while they can; target__reconcile() makes both equal to what /proc/PID/maps says is wanted, and
 * runs before every copy for which the kernel side asked it to.
 */
#ifndef TRACER_TARGET_TARGET_H
#define TRACER_TARGET_TARGET_H

#include <stdbool.h>
#include <sys/types.h>
#include "target/freeze.h"
#include "base/intervals.h"
#include "target/memory.h"
#include "target/regions.h"
#include "engine/slab_store.h"
#include "engine/chunk_snapshot.h"

struct target {
	struct intervals tracked;  /* registered in the chunk store */
	struct intervals large;    /* kept in slabs */
	struct intervals doomed;   /* still in the store, but unmapped: to be dropped */
	struct intervals reserved; /* without access at the last checkpoint; slabs hold its data */
	struct memory *memory;     /* NULL until it has execed */
	struct freeze *freeze;
	struct regions *regions;
	struct chunk_snapshot *snapshot;
	struct slab_store *slabs;    /* borrowed */
	struct chunk_stores *stores; /* borrowed */
	struct state *state;
	uint64_t events_lost;    /* of the kernel side's counter, as handled */
	uint64_t slab_threshold; /* bytes; ranges from there on are kept in slabs */
	pid_t pid;               /* 0: not there yet */
	bool child;
	bool held;     /* all threads stand still, the one that asked inside a poll */
	bool changed;  /* its mappings, since memory was last refreshed */
	bool emulated; /* it runs under valgrind */
	char comm[17];
};

/* state, stores, slabs: borrowed. regions: mask of enum region. slab_threshold: as in struct
 * target. child: it will be a child of the caller. 0, or -ENOMEM (target__close is then still
 * right). */
int target__open(struct target *target, struct state *state, struct chunk_stores *stores,
		 struct slab_store *slabs, uint32_t regions, uint64_t slab_threshold, bool child);

/* Keeps the mirror true: to be called for each event that concerns ranges, in their order.
 * 0 or -ENOMEM. */
int target__note(struct target *target, const struct event *event);

/* It has execed, for the first time or again. 0 or -errno. */
int target__exec(struct target *target, pid_t pid);

/* The number of chunks that the ranges take. */
uint64_t target__chunks(const struct intervals *ranges);

/*
 * Makes stores and mirror equal to what the user wants tracked, for a checkpoint: small ranges in
 * chunks, large ones in slabs. For a restore only takes out what is gone: ranges that are new have
 * nothing saved. All events must have been noted.
 * Returns 0; -REASON_CHUNK_LIMIT; -REASON_EVENTS_LOST when events were lost, and with
 * them the snapshot (stores and mirror are right all the same); -REASON_EMULATED; -ESRCH; -errno.
 */
int target__reconcile(struct target *target, enum operation_kind kind);

/* Before each copy with ranges in slabs: finds their pages. 0 or -errno, see slab_store.h. */
int target__find_pages(struct target *target, enum operation_kind kind);

/* Would touching the target's memory while its threads stand still wait for one of them? 0: no;
 * -REASON_USERFAULT; or -errno. */
int target__check_userfault(const struct target *target);

/* Pages of large ranges that hold data at the moment, while the target runs: an estimate. 0, or
 * -errno; -EOPNOTSUPP where the kernel has no cheap way to count them. */
int target__count_pages(struct target *target, uint64_t *ret_pages);

/* Stops every thread but the one called except (0: all), and tells the kernel side so. 0, or -errno
 * as freeze__stop(): all threads then run. */
int target__stop(struct target *target, pid_t except);

/* Lets the thread that asked, which stands still, run to the end of its next poll: the target is
 * then held. 0, or -errno as freeze__step_to_poll(). */
int target__step(struct target *target);

/* Makes it stand still, the thread that asked inside a poll, where it expects its memory to change.
 * Harmless when it is held. 0, or -errno as the two above; then call target__release(). */
int target__hold(struct target *target);

/* Lets every thread run again. Harmless when none stands still. */
void target__release(struct target *target);

/* Frees what it holds; harmless on a zeroed struct. */
void target__close(struct target *target);

#endif
