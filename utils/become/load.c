/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See load.h. All processes take pieces from one list, and each writes what became of its piece
 * into the piece itself. So the caller knows afterwards what a helper that was killed has left
 * undone.
 */
#include "become/load.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "become/progress_line.h"
#include "base/raw_syscall.h"

#ifndef MADV_POPULATE_WRITE /* Linux 5.14 */
#define MADV_POPULATE_WRITE 23
#endif

enum {
	BLOCK_BYTES = 1 << 18,
	END_OF_FILE = 1, /* instead of a -errno */
};

static _Alignas(64) unsigned char stacks[LOAD_HELPERS][LOAD_STACK_BYTES];
static const struct plan *work;
static atomic_size_t next; /* the first piece that nobody has taken */
static atomic_int failed;  /* a piece could not be read, so no other one is wanted */
static long caller;

/* ---- one piece ---- */

/* Returns 0, END_OF_FILE, or -errno. */
static int read_block(const struct plan_piece *piece, uint64_t done, size_t bytes)
{
	size_t got = 0;

	/* One call instead of a page fault for each page; it only makes the read faster. */
	(void)raw_syscall__call(SYS_madvise, piece->address + done, bytes, MADV_POPULATE_WRITE, 0);
	while (got < bytes) {
		long n = raw_syscall__call(SYS_pread64, (uint64_t)piece->fd,
					   piece->address + done + got, bytes - got,
					   piece->offset + done + got);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? (int)n : END_OF_FILE;
		got += (size_t)n;
	}
	return 0;
}

static int load(struct plan_piece *piece)
{
	for (uint64_t done = 0; done < piece->bytes; done += BLOCK_BYTES) {
		uint64_t left = piece->bytes - done;
		size_t part = left < BLOCK_BYTES ? left : BLOCK_BYTES;
		int err = read_block(piece, done, part);

		if (err)
			return err;
		if (piece->verify)
			image__sum(&piece->sum, piece->address + done,
				   (const void *)(piece->address + done), part); /* NOLINT */
	}
	return 0;
}

/* ---- all of them ---- */

/* line: NULL in a helper. */
static void load_what_is_left(struct progress_line *line)
{
	while (!atomic_load(&failed)) {
		size_t i = atomic_fetch_add(&next, 1);

		if (i >= work->piece_count)
			return;
		if (line)
			progress_line__step(line, i);
		work->pieces[i].err = load(&work->pieces[i]);
		work->pieces[i].is_loaded = true;
		if (work->pieces[i].err)
			atomic_store(&failed, 1);
	}
}

__attribute__((noreturn)) static void help(void *argument)
{
	(void)argument;
	/* A caller that is killed takes its helpers along. It may be gone already. */
	(void)raw_syscall__call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0);
	if (raw_syscall__call(SYS_getppid, 0, 0, 0, 0) == caller)
		load_what_is_left(NULL);
	for (;;)
		(void)raw_syscall__call(SYS_exit, 0, 0, 0, 0);
}

static size_t count_helpers(void)
{
	uint64_t mask[1024 / 64] = {0}, bytes = 0;
	size_t processors = 0;

	if (raw_syscall__call(SYS_sched_getaffinity, 0, sizeof(mask), (uintptr_t)mask, 0) < 0)
		return 0;
	for (size_t i = 0; i < sizeof(mask) / sizeof(mask[0]); i++)
		processors += (size_t)__builtin_popcountll(mask[i]);
	for (size_t i = 0; i < work->piece_count; i++)
		bytes += work->pieces[i].bytes;
	if (processors > LOAD_HELPERS + 1)
		processors = LOAD_HELPERS + 1;
	if (bytes / LOAD_HELPER_BYTES < processors)
		return bytes / LOAD_HELPER_BYTES;
	return processors - 1;
}

const char *load__reason_text(enum load_reason reason)
{
	static const char *const texts[] = {
		[LOAD_UNREADABLE] = "cannot be read",
		[LOAD_CUT_OFF] = "it was cut off while it was read",
		[LOAD_DAMAGED] = "damaged: a checksum of its memory is wrong (readckpt says where)",
		[LOAD_HELPER_KILLED] = "cannot be read: a helper of restart was killed; try again",
	};

	return texts[reason];
}

static bool fail(const struct plan_piece *piece, enum load_reason reason, int err,
		 struct load_failure *ret)
{
	*ret = (struct load_failure){.reason = reason, .err = err, .fd = piece->fd};
	return true;
}

/* After a failure nobody takes another piece. So a piece before the failed one that is not finished
 * was a killed helper's. */
static bool has_failed(const struct plan *plan, struct load_failure *ret)
{
	struct image_sum sum = {0};

	for (size_t i = 0; i < plan->piece_count; i++) {
		const struct plan_piece *piece = &plan->pieces[i];

		if (!piece->is_loaded)
			return fail(piece, LOAD_HELPER_KILLED, 0, ret);
		if (piece->err == END_OF_FILE)
			return fail(piece, LOAD_CUT_OFF, 0, ret);
		if (piece->err)
			return fail(piece, LOAD_UNREADABLE, piece->err, ret);
		if (!piece->verify)
			continue;
		image__add_sum(&sum, &piece->sum);
		if (piece->bytes)
			continue;
		if (sum.crc != piece->crc)
			return fail(piece, LOAD_DAMAGED, 0, ret);
		sum = (struct image_sum){0};
	}
	return false;
}

bool load__pieces(const struct plan *plan, struct load_failure *ret_failure)
{
	struct clone_args args = {.flags = CLONE_VM | CLONE_FILES | CLONE_FS,
				  .stack_size = LOAD_STACK_BYTES};
	struct progress_line line;
	long helpers[LOAD_HELPERS];
	size_t wanted, count = 0;

	work = plan;
	atomic_store(&next, 0);
	atomic_store(&failed, 0);
	caller = raw_syscall__call(SYS_getpid, 0, 0, 0, 0);
	wanted = count_helpers();
	while (count < wanted) {
		args.stack = (uintptr_t)stacks[count];
		helpers[count] = raw_syscall__clone(&args, help, NULL);
		if (helpers[count] < 0)
			break; /* then fewer do it */
		count++;
	}
	progress_line__begin(&line, plan);
	load_what_is_left(&line);
	for (size_t i = 0; i < count; i++) {
		while (raw_syscall__call(SYS_wait4, (uint64_t)helpers[i], 0, __WALL, 0) == -EINTR)
			continue;
	}
	progress_line__end(&line);
	return has_failed(plan, ret_failure);
}
