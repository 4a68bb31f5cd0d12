/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See threads.h. A thread can only end itself, so each gets a signal whose handler does that. It is
 * SIGSETXID: glibc changes the user of all threads by it, and lets no thread block it.
 */
#include "rollback/threads.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

#include "base/raw_syscall.h"
#include "rollback/number_directory.h"
#include "rollback/signals.h"

enum {
	SIGNAL = 33,           /* SIGSETXID; nptl/internaltypes.h */
	RESTORER = 0x04000000, /* SA_RESTORER; the kernel insists on it */
	WAIT_NS = 1000000,
	PATIENCE = 30000, /* waits; on a busy machine, a thread may not run for seconds */
};

static void end_thread(int number)
{
	(void)number;
	for (;;)
		(void)raw_syscall__call(SYS_exit, 0, 0, 0, 0);
}

static int signal_other(struct rollback *r, int tid)
{
	const long pid = raw_syscall__call(SYS_getpid, 0, 0, 0, 0);

	(void)r;
	if (tid != raw_syscall__call(SYS_gettid, 0, 0, 0, 0))
		(void)raw_syscall__call(SYS_tgkill, (uint64_t)pid, (uint64_t)tid, SIGNAL, 0);
	return 0;
}

int threads__end_others(struct rollback *r)
{
	const struct signal_action end = {.handler = (uintptr_t)end_thread,
					  .flags = RESTORER,
					  .restorer = (uintptr_t)end_thread,
					  .mask = UINT64_MAX};
	const struct timespec wait = {.tv_nsec = WAIT_NS};
	struct signal_action old;
	long count = own_files__check(r->files);
	int err = signals__set(SIGNAL, &end, &old);

	if (err)
		return err;
	r->stats.ended_threads += (uint64_t)(count > 1 ? count - 1 : 0);
	for (int i = 0; i < PATIENCE && count > 1; i++) {
		(void)number_directory__each(r->files->task.fd, r, signal_other);
		(void)raw_syscall__call(SYS_nanosleep, (uintptr_t)&wait, 0, 0, 0);
		count = own_files__check(r->files);
	}
	(void)signals__set(SIGNAL, &old, NULL);
	return count == 1 ? 0 : count < 0 ? (int)count : -ETIMEDOUT;
}
