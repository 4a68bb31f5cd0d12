/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See store.h. The kernel clears a page before the first write to it, which takes longer than the
 * copy. So a helper copies, too: the caller from the start on, the helper from the end on. It is a
 * process in the caller's memory, and is gone when the copy is done.
 */
#include "rollback/store.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <errno.h>
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
	long caller;    /* process number */
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

static long parent(void)
{
	return raw_syscall__call(SYS_getppid, 0, 0, 0, 0);
}

/* The last block may be a short one. A caller that was killed needs no copy. */
static void copy_from_end(void *argument)
{
	struct job *job = argument;
	uint64_t end = job->bytes;

	while (parent() == job->caller && take_block(job)) {
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

/* A filter of system calls could end the process for one of those below. */
static bool may_have_filter(void)
{
	char text[4096];
	const long fd = raw_syscall__call(SYS_openat, (uint64_t)AT_FDCWD,
					  (uintptr_t) "/proc/self/status", O_RDONLY | O_CLOEXEC, 0);
	long bytes;

	if (fd < 0)
		return true;
	bytes = raw_syscall__call(SYS_read, (uint64_t)fd, (uintptr_t)text, sizeof(text) - 1, 0);
	(void)raw_syscall__call(SYS_close, (uint64_t)fd, 0, 0, 0);
	text[bytes > 0 ? bytes : 0] = '\0';
	for (const char *at = text; *at; at++)
		if (bytes__begins(at, "\nSeccomp:\t0\n"))
			return false;
	return true;
}

/* Would a child be the first one of its PID namespace? When that ends, nobody can fork there. */
static bool has_namespace_for_children(void)
{
	char own[64] = "", next[64] = "";

	(void)raw_syscall__call(SYS_readlink, (uintptr_t) "/proc/self/ns/pid", (uintptr_t)own,
				sizeof(own) - 1, 0);
	(void)raw_syscall__call(SYS_readlink, (uintptr_t) "/proc/self/ns/pid_for_children",
				(uintptr_t)next, sizeof(next) - 1, 0);
	return !bytes__begins(own, next) || !bytes__begins(next, own);
}

/* To a tracer with a list, a helper would be another process that has the memory. */
static bool may_be_helped(const struct rollback *r)
{
	return !own_files__has_list(r->files) && !may_have_filter() && has_processors() &&
	       !has_namespace_for_children();
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

/* Returns whether it has copied what it took. If somebody has stopped or killed it, it has not. */
static bool wait_for(long helper)
{
	int status = 0;
	long pid;

	do {
		pid = raw_syscall__call(SYS_wait4, (uint64_t)helper, (uintptr_t)&status,
					__WALL | WUNTRACED, 0);
		if (pid == helper && WIFSTOPPED(status))
			(void)raw_syscall__call(SYS_kill, (uint64_t)helper, SIGKILL, 0, 0);
	} while (pid == -EINTR || (pid == helper && WIFSTOPPED(status)));
	return pid == helper && status == 0;
}

void store__fill(struct rollback *r, uint64_t to, uint64_t from, uint64_t bytes)
{
	struct job job = {.to = to, .from = from, .bytes = bytes};
	long helper = -1;

	job.caller = raw_syscall__call(SYS_getpid, 0, 0, 0, 0);
	if (bytes >= HELPED_BYTES && may_be_helped(r))
		helper = start_helper(r, &job);
	copy_from_start(&job);
	if (helper > 0 && !wait_for(helper))
		copy_part(&job, 0, bytes);
}
