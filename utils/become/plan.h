/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Everything that is left to do once restart's own memory is gone, worked out before: which mapping
 * is made how, and which bytes go where. A plan lies in one block of memory, at addresses that
 * neither the image nor restart uses, and points to nothing outside of it.
 */
#ifndef BECOME_PLAN_H
#define BECOME_PLAN_H

#include <stdbool.h>

#include "image/image.h"

enum {
	PLAN_STACK_BYTES = 16 << 10, /* of each thread, until it has its own */
	PLAN_KERNEL_PARTS = 8,       /* of vvar and vdso */
	PLAN_PIECE_BYTES = 4 << 20,
};

struct plan_mapping {
	uint64_t start, end;
	uint64_t offset; /* into fd */
	int protection;  /* in the end, as mmap(2) has it */
	int flags;       /* of mmap(2) */
	int fd;          /* -1: anonymous */
	bool is_loaded;  /* are there pieces for it? */
	uint32_t advice; /* IMAGE_ADVICE_... */
};

/* At most PLAN_PIECE_BYTES of a file that go to an address. A piece without bytes ends a segment:
 * it has the checksum of the pieces before it, back to the one that ended the segment before. */
struct plan_piece {
	uint64_t address, bytes;
	uint64_t offset;
	int fd;
	uint32_t crc;
	struct image_sum sum; /* of these bytes, set by load__pieces */
	int err;              /* of reading them, set by load__pieces */
	bool verify;          /* is the sum needed? */
	bool is_loaded;       /* set by load__pieces */
};

/* A part of vvar and vdso, which the kernel has put elsewhere in this process. */
struct plan_move {
	uint64_t from, to, bytes;
};

/* A file that pieces are read from. */
struct plan_image {
	const char *path; /* for messages: nothing in it steers a terminal */
	int fd;
};

/* As prlimit(2) takes it. */
struct plan_limit {
	uint64_t soft, hard;
};

struct plan {
	uint64_t start, end;                 /* of this block */
	uint64_t program_start, program_end; /* of restart itself */
	uint64_t shelter;                    /* where vvar and vdso wait */
	struct plan_mapping *mappings;
	struct plan_piece *pieces;
	struct plan_image *images;
	struct image_thread *threads;
	struct image_scheduling *scheduling; /* of each thread; NULL: not known */
	struct image_setting *settings;
	struct image_policy *policies;
	unsigned char *stacks; /* PLAN_STACK_BYTES for each thread and one more */
	void *auxv;
	size_t mapping_count, piece_count, image_count, thread_count, auxv_bytes, setting_count,
		policy_count;
	size_t main; /* which thread has the number of the process; 0 if it had ended */
	struct plan_move moves[PLAN_KERNEL_PARTS];
	size_t move_count;
	struct image_signal signals[IMAGE_SIGNALS];
	struct image_process process;
	uint64_t rseq; /* what restart's own C library has registered */
	uint32_t rseq_bytes, rseq_signature;
	bool is_undumpable; /* PR_SET_DUMPABLE of prctl(2) */
	int locks_future;   /* MCL_... of mlockall(2), or 0 */
	int first_fd;       /* files from there on are restart's own, not the process's */
	int messages_fd; /* where to say what goes wrong; from first_fd on as well; -1: nowhere */
	int program_fd;  /* the file that the process was started from; -1: restart's stays */
	bool shows_progress;                    /* is messages_fd a terminal, and talk wanted? */
	struct plan_limit limits[IMAGE_LIMITS]; /* of the process */
};

#endif
