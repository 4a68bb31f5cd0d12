/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Checkpoints of the calling process, which it goes back to by itself. No rights are needed. A
 * checkpoint has all private memory, the stack, the registers, the signal mask and actions, and the
 * alternate stack. Shared memory, files and devices are left alone. For C and C++.
 *
 *	struct rollback *rollback;
 *	int again = rollback__take(&rollback, NULL);
 *
 *	if (again < 0)
 *		return again;
 *	run_one_input();
 *	rollback__back(rollback);      // the next round begins behind rollback__take
 *
 * Registers are those that a call preserves (psABI): rbx, rbp, r12 to r15, rsp, and the control
 * words of SSE and of the FPU. All others are dead behind a call.
 */
#ifndef ROLLBACK_ROLLBACK_H
#define ROLLBACK_ROLLBACK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct rollback; /* in memory of its own, which no rollback changes */

/* How written pages are found. */
enum rollback_way {
	ROLLBACK_BEST,       /* the first of the next ones that works here */
	ROLLBACK_PROTECT,    /* userfaultfd WP_ASYNC and PAGEMAP_SCAN, Linux 6.7 */
	ROLLBACK_SOFT_DIRTY, /* a kernel with CONFIG_MEM_SOFT_DIRTY */
	ROLLBACK_COMPARE,    /* all pages are read; works everywhere */
	/* As ROLLBACK_PROTECT, but a tracer that root runs lists the written pages. So memory is
	 * not searched for them, and a rollback takes the same time for any size of it.
	 * ROLLBACK_BEST takes this way where it works. */
	ROLLBACK_LIST,
};

/* struct rollback_options, flags */
enum {
	/* Close the descriptors that were not open at the checkpoint. */
	ROLLBACK_CLOSE_NEW = 1 << 0,
	/* Put back the offsets of files that were open. One that was closed stays closed. */
	ROLLBACK_OFFSETS = 1 << 1,
	/* The caller promises that no mapping is made, removed, moved or protected anew, and that
	 * none gets guards (MADV_GUARD_INSTALL). The heap may grow by brk(2). With ROLLBACK_LIST,
	 * the caller also promises that no file with a mapping is truncated. Saves a look at all
	 * mappings in each rollback. */
	ROLLBACK_FIXED_MAPPINGS = 1 << 2,
	/* The caller promises that no signal action changes. Saves 62 system calls. */
	ROLLBACK_FIXED_SIGNALS = 1 << 3,
	/* The caller promises both, and more: the signal mask and the alternate stack do not change
	 * (so it does not go back in a signal handler), and no thread is made. Two system calls
	 * remain: one asks for all written pages, one for the end of the heap. */
	ROLLBACK_FIXED_STATE = 1 << 4 | ROLLBACK_FIXED_MAPPINGS | ROLLBACK_FIXED_SIGNALS,
};

/* Page-aligned. */
struct rollback_range {
	void *start;
	size_t bytes;
};

/*
 * With ranges, the checkpoint has the private memory and the mappings in them, and nothing else:
 * rollback__back is not for it, but rollback__restore is, on any stack outside them. Promises about
 * mappings are about those in the ranges. The faster choice where the state to put back lies in few
 * mappings. At most ROLLBACK_RANGES.
 */
enum { ROLLBACK_RANGES = 32 };

struct rollback_options {
	unsigned int flags;
	enum rollback_way way;
	const struct rollback_range *ranges; /* in address order, apart from each other; or NULL */
	size_t range_count;
};

struct rollback_stats {
	enum rollback_way way; /* as it is now: a list may have ended */
	uint64_t rollbacks;
	uint64_t saved_pages;  /* in the checkpoint */
	uint64_t hot_pages;    /* written in most rounds: copied back each time, without a fault */
	uint64_t copied_pages; /* in all rollbacks */
	uint64_t last_copied_pages;
	uint64_t mapping_changes; /* rollbacks that had to put back mappings */
	uint64_t ended_threads;
	uint64_t listed; /* rollbacks that had a complete list of the written pages */
};

/*
 * Takes a checkpoint. options: may be NULL. *ret_rollback is set before the memory is saved, so it
 * is right after each return.
 * Returns 0 when it is taken, 1 each time rollback__back has come back to it; -EBUSY if other
 * threads run (a rollback from outside, tracer(8), is for those); -EOPNOTSUPP if the way does not
 * work here, or the thread has a shadow stack; -EINVAL if the options are wrong; -EBADMSG if
 * /proc/self/maps has a line that proc(5) does not know; -ENOMEM; or another -errno. On failure
 * *ret_rollback is untouched.
 * While a checkpoint exists, another may be taken: going back to the outer one frees the inner one.
 */
__attribute__((returns_twice)) int rollback__take(struct rollback **ret_rollback,
						  const struct rollback_options *options);

/*
 * Goes back: memory, mappings, registers, stack, signals. Threads that were made since are ended.
 * Children stay. Only the thread that has taken the checkpoint may call it; its signal handlers
 * may. If it cannot be done (a file that was mapped is another one now, or a thread cannot be
 * ended), it says why on stderr, and the process ends with SIGABRT. Not for a child of vfork(2). A
 * child of fork(2) goes back in itself.
 */
__attribute__((noreturn)) void rollback__back(struct rollback *rollback);

/*
 * Puts back memory and mappings, but not the stack; execution goes on after this call. With a
 * checkpoint of ranges, the caller may be on any stack outside them. Any other checkpoint must be
 * taken and restored on the first stack of the process.
 * Returns 0; -EPERM on another stack, or from another thread; -EBUSY if other threads run. If it
 * cannot be done, the process ends as with rollback__back.
 */
int rollback__restore(struct rollback *rollback);

/* These bytes keep their value in a rollback; what is mapped there stays. If the end of the heap
 * (brk(2)) is among them, it stays, too. Returns 0; -ENOSPC after ROLLBACK_EXCLUDED calls; -EINVAL
 * if the range wraps around. */
enum { ROLLBACK_EXCLUDED = 61 };
int rollback__exclude(struct rollback *rollback, void *start, size_t bytes);

/* Gives up the checkpoint, and those that were taken inside it. Memory stays as it is. NULL is
 * harmless. */
void rollback__free(struct rollback *rollback);

/* Valid until rollback__free; changes with each rollback. */
const struct rollback_stats *rollback__stats(const struct rollback *rollback);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
