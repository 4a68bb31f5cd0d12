/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The target as user space knows it: who it is, what is mapped in it, and whether it stands still.
 */
#ifndef TRACER_TARGET_TARGET_H
#define TRACER_TARGET_TARGET_H

#include <stdbool.h>
#include <sys/types.h>
#include <linux/types.h>
#include "tracer.h"
#include "base/intervals.h"
#include "target/freeze.h"
#include "target/memory.h"
#include "target/regions.h"
#include "target/rseq.h"
#include "target/threads.h"

struct target {
	struct memory *memory; /* NULL until it has execed */
	struct freeze *freeze;
	struct regions *regions;
	struct threads threads; /* at the checkpoint */
	struct rseq_areas rseq; /* of stopped threads, while a restore writes */
	struct state *state;    /* shared with the kernel side */
	pid_t pid;              /* 0: not there yet */
	bool child;             /* of the caller */
	bool held;              /* all threads stand still, the one that asked inside a poll */
	bool changed;           /* its mappings, since memory was last refreshed */
	bool emulated;          /* it runs under valgrind */
	bool main_stack_tracked;
	char comm[17];
};

/* state: borrowed. regions: mask of enum region. child: it will be a child of the caller. name: of
 * the program, for a target that ends before the kernel can be asked. 0, or -ENOMEM (target__close
 * is then still right). */
int target__open(struct target *target, struct state *state, uint32_t regions, bool child,
		 const char *name);

/* It has execed, for the first time or again. 0 or -errno. */
int target__exec(struct target *target, pid_t pid);

/* Does it have another root folder or another mount namespace than the caller? False if that
 * cannot be found out. */
bool target__is_elsewhere(const struct target *target);

/* Reads its mappings anew and finds what is wanted of them, see regions__wanted(). Returns 0;
 * -REASON_EMULATED; -ESRCH; -errno. */
int target__wanted(struct target *target, const struct intervals *tracked,
		   struct intervals *ret_wanted, struct intervals *ret_reserved);

/* Forgets what was known of single pages, and reads the mappings anew if they have changed. To be
 * called once it stands still, or polls. 0, -ESRCH or -errno. */
int target__look_again(struct target *target);

/* Would touching ranges of it while its threads stand still wait for one of them? 0: no;
 * -REASON_USERFAULT; or -errno. */
int target__check_userfault(const struct target *target, const struct intervals *ranges);

/* For a checkpoint, while the copy is not answered: remembers the threads that there are, and
 * tells the kernel side how many. 0, -ESRCH or another -errno. */
int target__remember_threads(struct target *target);

/* For a restore, when the other threads stand still: are the threads those of the checkpoint? 0;
 * -REASON_THREADS_CHANGED, text (of that size) then names some of them; -ESRCH or another
 * -errno. */
int target__check_threads(const struct target *target, char *text, size_t size);

/* Is the stack of the thread that polls in ranges, so that a restore would change it? The main
 * thread's own stack counts for a restore alone: a checkpoint may have it for --save. 0,
 * -REASON_STACK_TRACKED or -REASON_MAIN_STACK. */
int target__check_stack(const struct target *target, const struct intervals *ranges);

/* Why a call has failed with err: -ESRCH is -REASON_LEADER_ENDED while the thread that asked is
 * there. Any other err is returned as it is. */
int target__cause(const struct target *target, int err);

/* Stops every thread but the one called except (0: all), and tells the kernel side so. For a
 * restore, keeps what it must not change of them (rseq.h). 0, or -errno as freeze__stop(): all
 * threads then run. */
int target__stop(struct target *target, pid_t except);

/* Stops every thread of a target that has polled for a restore. A thread that still waits in its
 * poll executes nothing more until it stops at the end of it; target__finish_poll() waits for
 * that. 0 or as above. */
int target__stop_in_poll(struct target *target);

/* Waits until a thread that waits in its poll stands still at the end of it. If that poll has
 * copied, the target is held. 0 or as above. */
int target__finish_poll(struct target *target);

/* Stops a target that waits for its answer in the poll that has copied. It is then held at the end
 * of that poll, and has executed nothing since the copy. If it does not wait there any more, it
 * stands still somewhere else, and is not held. 0; -REASON_EXECED if an exec has ended the
 * operation; or as above. */
int target__hold_in_poll(struct target *target);

/* Lets the thread that asked, which stands still, run to the end of its next poll: the target is
 * then held. 0, or -errno as freeze__step_to_poll(). */
int target__step(struct target *target);

/* Makes it stand still, the thread that asked inside a poll, where it expects its memory to change.
 * Harmless when it is held. 0, or -errno as the two above; then call target__release(). */
int target__hold(struct target *target);

/* The answer is there: a thread that is held in a poll finds it in that poll. */
void target__repeat_poll(const struct target *target);

/* Puts back what was kept, and lets every thread run again. Harmless when none stands still. */
void target__release(struct target *target);

/* Frees what it holds; harmless on a zeroed struct. */
void target__close(struct target *target);

#endif
