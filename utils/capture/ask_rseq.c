/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See ask_rseq.h. The child is a copy of the process, so it has the list of threads; what it finds
 * out goes back through shared memory. If it dies, the kernel lets go of what it traced.
 * Source: ptrace(2), PTRACE_GET_RSEQ_CONFIGURATION; Documentation/admin-guide/LSM/Yama.rst.
 */
#include "capture/ask_rseq.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/ptrace.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/nocancel.h"
#include "capture/proc_text.h"

/* In shared memory. */
struct answers {
	atomic_uint may_begin;                 /* the kernel knows who the child is */
	struct ptrace_rseq_configuration of[]; /* each unknown thread; all 0: no answer */
};

static long trace(unsigned long request, pid_t tid, uint64_t address, void *data)
{
	return syscall(SYS_ptrace, request, tid, address, data);
}

static void ask(pid_t tid, struct ptrace_rseq_configuration *ret)
{
	if (trace(PTRACE_SEIZE, tid, 0, NULL) < 0)
		return;
	if (trace(PTRACE_INTERRUPT, tid, 0, NULL) == 0 && nocancel__wait(tid, NULL, __WALL) == tid)
		(void)trace(PTRACE_GET_RSEQ_CONFIGURATION, tid, sizeof(*ret), ret);
	(void)trace(PTRACE_DETACH, tid, 0, NULL);
}

__attribute__((noreturn)) static void work_of_child(const struct stopped_thread *threads,
						    struct answers *answers)
{
	size_t i = 0;

	while (!answers->may_begin)
		(void)syscall(SYS_futex, &answers->may_begin, FUTEX_WAIT, 0, NULL, NULL, 0);
	for (; threads; threads = threads->next) {
		if (threads->rseq_is_unknown)
			ask(threads->thread.tid, &answers->of[i++]);
	}
	_exit(0);
}

/* Yama lets nobody trace its parent unless the parent says so. The program may have named somebody
 * else, whom nobody can ask for; so this is only done where it is needed. */
static bool needs_permission(void)
{
	char text[16];

	return proc_text__read("/proc/sys/kernel/yama/ptrace_scope", text, sizeof(text)) > 0 &&
	       text[0] == '1';
}

static void run_child(const struct stopped_thread *threads, struct answers *answers)
{
	const bool is_guarded = needs_permission();
	const pid_t child = (pid_t)syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);

	if (child < 0)
		return;
	if (child == 0)
		work_of_child(threads, answers);
	if (is_guarded)
		(void)prctl(PR_SET_PTRACER, child, 0, 0, 0);
	answers->may_begin = 1;
	(void)syscall(SYS_futex, &answers->may_begin, FUTEX_WAKE, 1, NULL, NULL, 0);
	while (nocancel__wait(child, NULL, __WALL) < 0 && errno == EINTR)
		continue;
	if (is_guarded)
		(void)prctl(PR_SET_PTRACER, 0, 0, 0, 0);
}

static void take_answers(struct stopped_thread *threads, const struct answers *answers)
{
	const struct ptrace_rseq_configuration *answer = answers->of;

	for (; threads; threads = threads->next) {
		if (!threads->rseq_is_unknown)
			continue;
		if (answer->rseq_abi_pointer) {
			threads->thread.rseq = answer->rseq_abi_pointer;
			threads->thread.rseq_bytes = answer->rseq_abi_size;
			threads->thread.rseq_signature = answer->signature;
			threads->rseq_is_unknown = false;
		}
		answer++;
	}
}

void ask_rseq__of(struct stopped_thread *threads)
{
	size_t count = 0, bytes;
	struct answers *answers;

	for (const struct stopped_thread *t = threads; t; t = t->next)
		count += t->rseq_is_unknown;
	if (count == 0)
		return;
	bytes = sizeof(*answers) + count * sizeof(answers->of[0]);
	answers = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (answers == MAP_FAILED)
		return;
	run_child(threads, answers);
	take_answers(threads, answers);
	(void)munmap(answers, bytes);
}
