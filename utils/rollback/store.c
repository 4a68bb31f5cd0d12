/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See store.h. The kernel clears a page before the first write to it, which takes longer than the
 * copy. So a helper copies, too: the caller from the start on, the helper from the end on. It is a
 * process in the caller's memory, and is gone when the copy is done.
 */
#include "rollback/store.h"

#include <linux/prctl.h>
#include <sched.h>
#include <stddef.h>
#include <sys/wait.h>

#include "base/raw_syscall.h"
#include "rollback/bytes.h"

enum {
	BLOCK = 2 << 20,        /* a huge page */
	HELPED_BYTES = 32 << 20 /* at least; less is copied before a helper has begun */
};

struct job {
	uint64_t to, from, bytes;
	uint64_t taken; /* blocks, by the caller and the helper */
};

static bool take_block(struct job *job)
{
	return __atomic_fetch_add(&job->taken, 1, __ATOMIC_RELAXED) * BLOCK < job->bytes;
}

static void copy_part(const struct job *job, uint64_t start, uint64_t end)
{
	bytes__copy(job->to + start, job->from + start, end - start);
}

static void copy_from_start(struct job *job)
{
	for (uint64_t at = 0; take_block(job); at += BLOCK)
		copy_part(job, at, at + BLOCK < job->bytes ? at + BLOCK : job->bytes);
}

/* The last block may be a short one. */
static void copy_from_end(void *argument)
{
	struct job *job = argument;
	uint64_t end = job->bytes;

	while (take_block(job)) {
		const uint64_t start = (end - 1) & ~(uint64_t)(BLOCK - 1);

		copy_part(job, start, end);
		end = start;
	}
	for (;;)
		(void)raw_syscall__call(SYS_exit, 0, 0, 0, 0);
}

static bool has_processors(void)
{
	uint64_t mask[128] = {0}; /* as many as the kernel can have */
	int count = 0;

	(void)raw_syscall__call(SYS_sched_getaffinity, 0, sizeof(mask), (uintptr_t)mask, 0);
	for (size_t i = 0; i < sizeof(mask) / sizeof(mask[0]); i++)
		count += (mask[i] != 0) + ((mask[i] & (mask[i] - 1)) != 0);
	return count > 1;
}

/* A filter of system calls could end the process for a clone. */
static bool has_filter(void)
{
	return raw_syscall__call(SYS_prctl, PR_GET_SECCOMP, 0, 0, 0) != 0;
}

/* Returns the helper's process number, or -errno. Its end sends no signal. */
static long start_helper(struct rollback *r, struct job *job)
{
	const struct clone_args args = {
		.flags = CLONE_VM | CLONE_FS | CLONE_FILES,
		.stack = (uintptr_t)r->stack,
		.stack_size = sizeof(r->stack),
	};

	return raw_syscall__clone(&args, copy_from_end, job);
}

static void wait_for(long helper)
{
	while (raw_syscall__call(SYS_wait4, (uint64_t)helper, 0, __WALL, 0) == -EINTR)
		;
}

void store__fill(struct rollback *r, uint64_t to, uint64_t from, uint64_t bytes)
{
	struct job job = {.to = to, .from = from, .bytes = bytes};
	long helper = -1;

	/* Under a tracer, a helper would be another process that it sees. */
	if (bytes >= HELPED_BYTES && !own_files__has_list(r->files) && has_processors() &&
	    !has_filter())
		helper = start_helper(r, &job);
	copy_from_start(&job);
	if (helper > 0)
		wait_for(helper);
}
