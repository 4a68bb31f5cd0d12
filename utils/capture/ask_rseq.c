/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See ask_rseq.h. What the child finds out goes back through shared memory.
 * Source: ptrace(2), PTRACE_GET_RSEQ_CONFIGURATION.
 */
#include "capture/ask_rseq.h"

#include <linux/ptrace.h>
#include <sys/mman.h>

#include "capture/tracing_child.h"

static void ask(size_t i, pid_t tid, void *argument)
{
	struct ptrace_rseq_configuration *answers = argument; /* all 0: no answer */

	(void)tracing_child__ask(PTRACE_GET_RSEQ_CONFIGURATION, tid, sizeof(answers[i]),
				 &answers[i]);
}

static void list_unknown(const struct stopped_thread *threads, pid_t *tids)
{
	for (; threads; threads = threads->next) {
		if (threads->rseq_is_unknown)
			*tids++ = threads->thread.tid;
	}
}

static void take_answers(struct stopped_thread *threads,
			 const struct ptrace_rseq_configuration *answer)
{
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
	struct ptrace_rseq_configuration *answers;
	size_t count = 0, bytes;
	pid_t *tids;

	for (const struct stopped_thread *t = threads; t; t = t->next)
		count += t->rseq_is_unknown;
	if (count == 0)
		return;
	bytes = count * (sizeof(*answers) + sizeof(*tids));
	answers = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (answers == MAP_FAILED)
		return;
	tids = (pid_t *)(answers + count);
	list_unknown(threads, tids);
	tracing_child__visit(tids, count, ask, answers);
	take_answers(threads, answers);
	(void)munmap(answers, bytes);
}
