/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See threads.h. The threads share the thread area of restart until each has its own, so they make
 * system calls by hand, without errno.
 */
#include "become/threads.h"

#include <errno.h>
#include <linux/rseq.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/raw_syscall.h"
#include "become/die.h"
#include "process/registrations.h"

static void *at(uint64_t address)
{
	return (void *)address; /* NOLINT: an address of the image */
}

__attribute__((noreturn)) static void jump(const struct image_thread *t)
{
	const uint16_t control = (uint16_t)t->fpu_control;

	__asm__ volatile("ldmxcsr %0\n\t"
			 "fldcw %1"
			 :
			 : "m"(t->mxcsr), "m"(control));
	__asm__ volatile(
		"mov %c1(%0), %%rbx\n\t"
		"mov %c2(%0), %%rbp\n\t"
		"mov %c3(%0), %%r12\n\t"
		"mov %c4(%0), %%r13\n\t"
		"mov %c5(%0), %%r14\n\t"
		"mov %c6(%0), %%r15\n\t"
		"mov %c7(%0), %%rsp\n\t"
		"mov %c8(%0), %%rdx\n\t"
		"xor %%eax, %%eax\n\t"
		"jmp *%%rdx"
		:
		: "c"(t), "i"(offsetof(struct image_thread, rbx)),
		  "i"(offsetof(struct image_thread, rbp)), "i"(offsetof(struct image_thread, r12)),
		  "i"(offsetof(struct image_thread, r13)), "i"(offsetof(struct image_thread, r14)),
		  "i"(offsetof(struct image_thread, r15)), "i"(offsetof(struct image_thread, rsp)),
		  "i"(offsetof(struct image_thread, rip))
		: "memory");
	__builtin_unreachable();
}

bool threads__set_priority(const struct image_scheduling *s)
{
	enum { IO_PRIORITY_OF_PROCESS = 1 };
	const struct sched_param param = {.sched_priority = (int)s->priority};

	/* A real-time policy ignores nice, the others the priority. The kernel says EPERM only for
	 * more than before. */
	return raw_syscall__call(SYS_sched_setscheduler, 0, s->policy, (uintptr_t)&param, 0) >= 0 &&
	       raw_syscall__call(SYS_setpriority, PRIO_PROCESS, 0, (uint64_t)s->nice, 0) >= 0 &&
	       raw_syscall__call(SYS_ioprio_set, IO_PRIORITY_OF_PROCESS, 0, s->io_priority, 0) >= 0;
}

/* restart has tried the processors and priorities, and has said what cannot be. */
static void set_scheduling(const struct image_scheduling *s)
{
	bool is_bound = false;

	for (size_t i = 0; i < sizeof(s->processors) / sizeof(s->processors[0]); i++)
		is_bound = is_bound || s->processors[i];
	if (is_bound)
		(void)raw_syscall__call(SYS_sched_setaffinity, 0, sizeof(s->processors),
					(uintptr_t)s->processors, 0);
	(void)threads__set_priority(s);
	if (s->timer_slack_ns)
		(void)raw_syscall__call(SYS_prctl, PR_SET_TIMERSLACK, s->timer_slack_ns, 0, 0);
	(void)raw_syscall__call(SYS_prctl, PR_SET_PDEATHSIG, s->death_signal, 0, 0);
	/* After which the thread gets no rights by execve(2). */
	if (s->no_new_privs)
		(void)raw_syscall__call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0);
}

bool threads__set_setting(const struct image_setting *s)
{
	return raw_syscall__call(SYS_prctl, s->option, s->values[0], s->values[1], 0) >= 0;
}

void threads__set_settings(const struct plan *plan, int32_t tid)
{
	for (size_t i = 0; i < plan->setting_count; i++) {
		if (plan->settings[i].tid == tid)
			(void)threads__set_setting(&plan->settings[i]);
	}
}

static void set_policy(const struct plan *plan, int32_t tid)
{
	for (size_t i = 0; i < plan->policy_count; i++) {
		const struct image_policy *p = &plan->policies[i];

		if (p->tid == tid && !p->end)
			(void)raw_syscall__call(SYS_set_mempolicy, p->mode, (uintptr_t)p->nodes,
						IMAGE_NODES_MAX, 0);
	}
}

/* Sets what the kernel keeps for a thread. The kernel itself had told these values, so it takes
 * them again. Only rseq may fail, and a C library does without it. */
void threads__become(const struct plan *plan, size_t index)
{
	const struct image_thread *t = &plan->threads[index];
	stack_t stack = {.ss_sp = at(t->altstack),
			 .ss_size = t->altstack_bytes,
			 .ss_flags = (int)t->altstack_flags};
	long tid;

	if (plan->scheduling)
		set_scheduling(&plan->scheduling[index]);
	threads__set_settings(plan, t->tid);
	set_policy(plan, t->tid);
	tid = raw_syscall__call(SYS_set_tid_address, t->clear_tid, 0, 0, 0);
	if (t->tid_address)
		*(volatile int32_t *)at(t->tid_address) = (int32_t)tid;
	(void)raw_syscall__call(SYS_set_robust_list, t->robust_list, t->robust_bytes, 0, 0);
	(void)raw_syscall__call(SYS_prctl, PR_SET_NAME, (uintptr_t)t->name, 0, 0);
	(void)raw_syscall__call(SYS_sigaltstack, (uintptr_t)&stack, 0, 0, 0);
	if (t->rseq) {
		struct rseq *area = at(t->rseq);

		area->rseq_cs = 0;
		if (raw_syscall__call(SYS_rseq, t->rseq, t->rseq_bytes, 0, t->rseq_signature) < 0)
			area->cpu_id = (uint32_t)RSEQ_CPU_ID_REGISTRATION_FAILED;
	}
	(void)raw_syscall__call(SYS_arch_prctl, REGISTRATIONS_SET_GS, t->gs_base, 0, 0);
	(void)raw_syscall__call(SYS_arch_prctl, REGISTRATIONS_SET_FS, t->fs_base, 0, 0);
	jump(t);
}

/* The new thread of a plan, which the next one that is started must not change. */
struct beginning {
	const struct plan *plan;
	size_t index;
};

__attribute__((noreturn)) static void begin(void *argument)
{
	const struct beginning *self = argument;

	threads__become(self->plan, self->index);
}

/* The thread begins in begin(). Returns its tid, or -errno. */
static long start_thread(const struct plan *plan, size_t index, bool with_tid)
{
	/* Its stack grows down to this, and far less of it is used. */
	unsigned char *stack = plan->stacks + (index + 1) * PLAN_STACK_BYTES;
	struct beginning *beginning = (struct beginning *)stack;
	const pid_t tid = plan->threads[index].tid;
	const struct clone_args args = {
		.flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
			 CLONE_SYSVSEM,
		.stack = (uintptr_t)stack,
		.stack_size = PLAN_STACK_BYTES,
		.set_tid = with_tid ? (uintptr_t)&tid : 0,
		.set_tid_size = with_tid ? 1 : 0,
	};

	*beginning = (struct beginning){plan, index};
	return raw_syscall__clone(&args, begin, beginning);
}

void threads__start(const struct plan *plan)
{
	for (size_t i = 0; i < plan->thread_count; i++) {
		long tid;

		if (i == plan->main)
			continue;
		tid = start_thread(plan, i, true);
		if (tid == -EPERM || tid == -EEXIST || tid == -EINVAL || tid == -ENOSYS)
			tid = start_thread(plan, i, false);
		if (tid < 0)
			die__of("cannot start a thread", (int)tid);
	}
}
