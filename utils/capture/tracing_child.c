/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See tracing_child.h. The child is a copy of the process, so it has the list. If it dies, the
 * kernel lets go of what it traced. Source: ptrace(2); Documentation/admin-guide/LSM/Yama.rst.
 */
#include "capture/tracing_child.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/ptrace.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/nocancel.h"
#include "base/page.h"
#include "base/raw_syscall.h"
#include "base/proc_text.h"

struct list {
	const pid_t *tids;
	size_t count;
	void (*visit)(size_t index, pid_t tid, void *argument);
	void *argument;
};

long tracing_child__ask(unsigned long request, pid_t tid, uint64_t address, void *data)
{
	return syscall(SYS_ptrace, request, tid, address, data);
}

static void visit_one(const struct list *list, size_t i)
{
	const pid_t tid = list->tids[i];

	if (tracing_child__ask(PTRACE_SEIZE, tid, 0, NULL) < 0)
		return;
	if (tracing_child__ask(PTRACE_INTERRUPT, tid, 0, NULL) == 0 &&
	    nocancel__wait(tid, NULL, __WALL) == tid)
		list->visit(i, tid, list->argument);
	(void)tracing_child__ask(PTRACE_DETACH, tid, 0, NULL);
}

/* may_begin: in shared memory; the kernel knows who the child is. */
__attribute__((noreturn)) static void work_of_child(const struct list *list, atomic_uint *may_begin)
{
	while (!*may_begin)
		(void)syscall(SYS_futex, may_begin, FUTEX_WAIT, 0, NULL, NULL, 0);
	for (size_t i = 0; i < list->count; i++)
		visit_one(list, i);
	_exit(0);
}

/* Yama lets nobody trace its parent unless the parent says so. That replaces a tracer that the
 * program has named, and the kernel does not tell which. So it is done only where it is needed. */
static bool needs_permission(void)
{
	char text[16];

	return proc_text__read("/proc/sys/kernel/yama/ptrace_scope", text, sizeof(text)) > 0 &&
	       text[0] == '1';
}

static void run_child(const struct list *list, atomic_uint *may_begin)
{
	const bool is_guarded = needs_permission();
	const pid_t child = (pid_t)raw_syscall__call(SYS_clone, 0, 0, 0, 0);

	if (child < 0)
		return;
	if (child == 0)
		work_of_child(list, may_begin);
	if (is_guarded)
		(void)prctl(PR_SET_PTRACER, child, 0, 0, 0);
	*may_begin = 1;
	(void)syscall(SYS_futex, may_begin, FUTEX_WAKE, 1, NULL, NULL, 0);
	while (nocancel__wait(child, NULL, __WALL) < 0 && errno == EINTR)
		continue;
	if (is_guarded)
		(void)prctl(PR_SET_PTRACER, 0, 0, 0, 0);
}

void tracing_child__visit(const pid_t *tids, size_t count,
			  void (*visit)(size_t index, pid_t tid, void *argument), void *argument)
{
	const struct list list = {tids, count, visit, argument};
	atomic_uint *may_begin;

	if (count == 0)
		return;
	may_begin =
		mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (may_begin == MAP_FAILED)
		return;
	run_child(&list, may_begin);
	(void)munmap(may_begin, PAGE_BYTES);
}
