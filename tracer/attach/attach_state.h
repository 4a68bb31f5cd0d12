/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of this folder share of an attached process. Who attaches needs attach.h only.
 */
#ifndef TRACER_ATTACH_ATTACH_STATE_H
#define TRACER_ATTACH_ATTACH_STATE_H

#include "attach/attach_result.h"
#include "attach/changes.h"
#include "attach/checkpoint.h"
#include "store/page_store.h"
#include "kernel/fault_list.h"
#include "kernel/thread_reader.h"
#include "target/freeze.h"
#include "target/memory.h"
#include "target/sharers.h"
#include "target/thread_watch.h"

struct attach {
	pid_t process;
	pid_t pid; /* names it in /proc: its first thread, or another one if that has ended */
	int pidfd, mem_fd, pagemap_fd; /* mem: /proc/PID/mem */
	int files_fd;                  /* /proc/PID/fd */
	bool serves_faults;            /* it has a userfaultfd of its own */
	bool is_tracked;               /* the process or another tracer tracks its writes, too */
	struct freeze *freeze;
	struct thread_watch *threads;
	struct thread_reader *reader; /* NULL: there is none */
	struct memory *memory;
	struct pagemap pagemap, second_pagemap;
	struct second_thread *second; /* shares the scan of much memory; NULL: there is none */
	bool has_no_second;           /* it cannot be started */
	struct write_tracking tracking;
	const struct hooks *hooks;
	struct fault_list *faults; /* NULL: there is none */
	struct fault_mark mark;    /* where it ended when base was armed */
	bool is_sure;              /* from there on, it has all pages that are written */
	struct sharers sharers;    /* when it was attached */
	bool is_shared;            /* another process had the memory at the last look */
	struct intervals hot;      /* pages that were left unarmed: they count as written */
	unsigned int hot_rounds;   /* since all were armed */
	uint64_t *pages;           /* room for an answer */
	bool has_pins;             /* the kernel held on to pages at the last look, */
	bool may_have_pins;        /* or at the one before it */
	struct page_store store;
	struct checkpoints list;
	/* A page that has not been written since it was armed is as in this checkpoint, which may
	 * not be in the list any more. NULL: every page may be another one. */
	struct checkpoint *base;
	struct changes changes;  /* since then, as of the last look, */
	enum attach_found found; /* and how they were found */
	uint64_t rollbacks;
	attach_return *returned;          /* NULL: nobody wants to know */
	void *argument;                   /* of returned */
	struct open_files opened, closed; /* from the checkpoint to the last rollback */
	bool were_closed;                 /* that rollback has closed what was opened */
	char **named;                     /* mappings that attach__name_left_alone() has named */
	size_t named_count;
	char detail[512];
};

/* Stops all threads, and looks whether it is still the process that was attached. drop_faults: see
 * freeze__deliver(). Returns 0; -ESRCH; -REASON_EXECED; or as freeze__stop(): all threads run. */
int attach_state__stop(struct attach *attach, bool drop_faults);

/* Of a process that stands still: is there a list, and no sign in it since base was armed? Then it
 * has executed no other program, and nobody else has its memory. */
bool attach_state__is_undisturbed(const struct attach *attach);

/* Does another process have its memory: is_shared? threads: of the process, which stands still.
 * Returns 0, or -REASON_MEMORY_SHARED with the other process in detail. */
int attach_state__check_sharers(struct attach *attach, const struct threads *threads);

/* Why an operation has failed. Returns -REASON_LEADER_ENDED for -ESRCH if other threads still run,
 * or else err itself. */
int attach_state__cause(const struct attach *attach, int err);

/* Begins write tracking in the best way that works. Returns 0 or what attach__open() does. */
int attach_state__start_tracking(struct attach *attach, enum write_tracking_way best,
				 const struct hooks *hooks);

/* Nothing remains armed, and nothing listed. Harmless on a zeroed struct. */
void attach_state__stop_tracking(struct attach *attach);

/* Has the process made a userfaultfd of its own? It may register what it has mapped since the
 * attach. Then its writes are not tracked any more, and memory is compared. */
bool attach_state__look_for_userfaults(struct attach *attach);

/* Does a device or the kernel hold on to pages, and may write them unnoticed? To be called before
 * each operation: such pages were pinned before they were armed, or are in the list by then. */
void attach_state__look_for_pins(struct attach *attach);

/*
 * Finds the mappings of a process that stands still, and what has changed since base: in changes.
 * *ret_now: its mappings, in room or those of base, valid as long as both.
 * Returns 0, -ESRCH or another -errno.
 */
int attach_state__look(struct attach *attach, struct mappings *room,
		       const struct mappings **ret_now);

/* Saves a process that stands still in an empty checkpoint, which becomes base. The caller puts it
 * in the list; if not, it lives until another one becomes base. Returns 0; or -ENOMEM, -ESRCH or
 * another -errno: then the checkpoint still belongs to the caller, and there is no base. */
int attach_state__take(struct attach *attach, struct checkpoint *checkpoint, uint64_t *ret_pages);

/* The same with a new checkpoint that has no name. Returns the same, and *ret_checkpoint, which
 * attach_state__drop_unlisted() releases. */
int attach_state__take_unlisted(struct attach *attach, struct checkpoint **ret_checkpoint);

/* Releases it. It lives on while it is base and there are other checkpoints. Harmless for NULL. */
void attach_state__drop_unlisted(struct attach *attach, struct checkpoint *checkpoint);

/* Takes a checkpoint out of the list. If it is base, it lives until another one is base. */
void attach_state__retire(struct attach *attach, struct checkpoint *checkpoint);

/* Forgets base: every page may be another one. */
void attach_state__lose_base(struct attach *attach);

/* Arms the pages of ranges that lie in mappings, the present ones. Memory that was just mapped must
 * be armed before it is written. Returns whether all could be armed; the rest counts as changed. */
bool attach_state__arm(struct attach *attach, const struct mappings *mappings,
		       const struct intervals *ranges);

/* The process has the bytes and mappings of this checkpoint now: makes it base, and all pages
 * clean. touched: pages that the caller has written. */
void attach_state__set_base(struct attach *attach, struct checkpoint *base,
			    const struct intervals *touched);

#endif
