/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A checkpoint in memory of its own, for all modules of the library. That memory is laid out in
 * rollback.c: this struct, then the lists, then the saved pages. Most of it is never touched.
 * No code here uses the C library: its memory is being replaced.
 */
#ifndef ROLLBACK_CHECKPOINT_H
#define ROLLBACK_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/page.h"
#include "rollback/mappings.h"
#include "rollback/own_files.h"
#include "rollback/registers.h"
#include "rollback/rollback.h"

enum {
	CHECKPOINT_STACK = 64 << 10,
	CHECKPOINT_SIGNALS = 64,
	/* Beside those of the caller: rseq, the thread's number, and all around ROLLBACK_RANGES. */
	CHECKPOINT_EXCLUDED = ROLLBACK_EXCLUDED + 2 + ROLLBACK_RANGES + 1,
	CHECKPOINT_OUTER = 64, /* checkpoints in each other */
};

/* struct page, kind */
enum {
	PAGE_ABSENT = 0, /* no page of our own: zeros, or those of a file */
	PAGE_STORED = 1,
	PAGE_GUARD = 2,         /* MADV_GUARD_INSTALL */
	PAGE_KIND = 3,          /* one of these */
	PAGE_IN_HOT = 1 << 6,   /* in rollback.hot */
	PAGE_EXCLUDED = 1 << 7, /* has bytes that keep their value */
};

enum { PAGE_HOT = 3 }; /* a page of this heat or more is hot */

struct page {
	uint8_t kind;
	uint8_t heat;   /* see restore_pages.c */
	uint16_t round; /* when it was last found written, modulo 2^16 */
};

struct range {
	uint64_t start, end;
};

struct hot_page {
	uint64_t address, zone; /* its index */
};

/* struct rollback, flags */
static inline bool checkpoint__is_fixed(unsigned int flags)
{
	return (flags & ROLLBACK_FIXED_STATE) == ROLLBACK_FIXED_STATE;
}

/* A private mapping, or the part of one that is not ours. */
struct zone {
	uint64_t start, end;
	uint64_t store;       /* where the saved bytes of its start are */
	struct page *pages;   /* one for each */
	uint64_t stored, hot; /* pages */
	uint64_t written;     /* pages of the last round */
	uint64_t faults;      /* cold ones of these */
	uint64_t rounds;      /* these three: see restore_whole.c */
	unsigned int dear, doublings;
	int protection; /* PROT_... */
	bool file;      /* a private mapping of a file */
	bool small;     /* so small that it is always copied back as a whole */
	bool whole;     /* so much of it is written that it is; see restore_whole.h */
	bool dense;     /* all pages are stored, and are many */
	bool huge;      /* has huge pages */
	bool armed;     /* written pages are known */
	bool changed;   /* all pages must be looked at */
	bool lost;      /* something of it must be armed anew */
	bool opened;    /* made writable for the moment */
	bool listed;    /* in this round, all its written pages are in the list */
	bool done;      /* in this round */
	bool tracked;   /* in this round, its written pages were looked for */
	bool has_guards;
	bool has_excluded; /* bytes that keep their value */
};

struct descriptor {
	int fd;
	bool seekable;
	uint64_t device, inode, offset;
};

struct signal_action {
	uint64_t handler, flags, restorer, mask;
};

struct rollback {
	struct rollback *outer, *inner;
	struct range own; /* the mapping */
	unsigned int flags;
	struct rollback_stats stats;
	struct own_files *files; /* of the outermost one */
	uint64_t generation;     /* of files, when all written pages were known */
	uint64_t thread;         /* that has taken it: the address of its control block */

	struct registers registers;
	uint64_t signal_mask;
	bool has_handlers; /* a handler may run during a rollback */
	struct {
		uint64_t stack;
		int32_t flags, unused;
		uint64_t bytes;
	} alternate_stack;
	struct signal_action actions[CHECKPOINT_SIGNALS];

	uint64_t brk;
	bool keeps_brk;     /* it is excluded */
	bool has_ranges;    /* all other memory is excluded */
	bool same_mappings; /* in this rollback, the list of mappings is as before */
	struct mapping_list saved, now;
	struct mapping_text saved_text, expected_text, now_text;

	struct zone *zones;
	size_t zone_count;
	struct range *runs; /* of stored pages, in address order */
	size_t run_count;
	struct range excluded[CHECKPOINT_EXCLUDED];
	size_t excluded_count, excluded_own;
	struct range cold;       /* pages that are to be armed again, by restore_pages.c */
	struct range kept_stack; /* rollback__restore leaves it alone */

	bool is_listed;   /* in this rollback, listed has all pages that were written */
	uint64_t *listed; /* see listed_pages.h */
	size_t listed_count;
	struct hot_page *hot; /* only with a list; some may have cooled down */
	size_t hot_count;

	struct descriptor *descriptors;
	size_t descriptor_count, descriptor_room;
	int listing; /* /proc/self/fd, while it is read */

	char path[4096];            /* of a file that is to be mapped again */
	struct own_files own_files; /* of all, if this is the outermost one */
	unsigned char stack[CHECKPOINT_STACK] __attribute__((aligned(16)));
};

#endif
