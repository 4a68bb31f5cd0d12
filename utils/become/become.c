/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See become.h. First everything but restart's program and the plan goes away. Then come the
 * mappings of the image and their contents, what the kernel keeps for the process, and the threads.
 * Each jumps to its resume point. There the process itself unmaps what is left of restart
 * (come_back in libckpt/handler.c).
 *
 * The C library's state was in memory that is gone. Only its system call wrappers and memory
 * functions are used, with a thread area (FS) and a stack of our own.
 */
#include "become/become.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/prctl.h>
#include <linux/rseq.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "become/die.h"
#include "become/memory.h"
#include "become/move_away.h"
#include "become/threads.h"
#include "process/registrations.h"

enum {
	AREA_BYTES = 8192,
	THREAD_HEAD = 64, /* of the C library's control block: pointers to itself, the canary */
};

static _Alignas(64) unsigned char thread_area[AREA_BYTES];

static void *at(uint64_t address)
{
	return (void *)address; /* NOLINT: an address of the image */
}

/* ---- the process ---- */

/* After this the heap grows from where it was, and /proc shows the arguments and the program file.
 * If it fails (on a kernel without CONFIG_CHECKPOINT_RESTORE), brk(2) fails from now on, and malloc
 * takes its memory from mmap(2). */
static void set_numbers(const struct plan *plan)
{
	const struct image_process *p = &plan->process;
	struct prctl_mm_map map_of = {
		.start_code = p->start_code,
		.end_code = p->end_code,
		.start_data = p->start_data,
		.end_data = p->end_data,
		.start_brk = p->start_brk,
		.brk = p->brk,
		.start_stack = p->start_stack,
		.arg_start = p->arg_start,
		.arg_end = p->arg_end,
		.env_start = p->env_start,
		.env_end = p->env_end,
		.auxv = plan->auxv,
		.auxv_size = (uint32_t)plan->auxv_bytes,
		.exe_fd = (uint32_t)plan->program_fd,
	};

	if (prctl(PR_SET_MM, PR_SET_MM_MAP, &map_of, sizeof(map_of), 0) == 0)
		return;
	if (plan->program_fd >= 0) {
		map_of.exe_fd = UINT32_MAX;
		if (prctl(PR_SET_MM, PR_SET_MM_MAP, &map_of, sizeof(map_of), 0) == 0) {
			die__warn("the kernel does not set the name of the program file");
			return;
		}
	}
	die__warn("the kernel does not set brk; the heap will grow elsewhere");
}

static void set_signals(const struct plan *plan)
{
	for (int i = 0; i < IMAGE_SIGNALS; i++) {
		if (i + 1 == SIGKILL || i + 1 == SIGSTOP)
			continue;
		die__unless(
			syscall(SYS_rt_sigaction, i + 1, &plan->signals[i], NULL, sizeof(uint64_t)),
			"cannot set a signal action");
	}
}

static void tell_process(const struct plan *plan)
{
	struct image_restart *told = at(plan->process.restart);

	told->leftovers[0] = plan->program_start;
	told->leftovers[1] = plan->program_end;
	told->leftovers[2] = plan->start;
	told->leftovers[3] = plan->end;
	told->restarted = 1;
}

/* Done late, since restart may need more than the process. */
static void set_limits(const struct plan *plan)
{
	for (int i = 0; i < IMAGE_LIMITS; i++)
		die__unless(syscall(SYS_prlimit64, 0, i, &plan->limits[i], NULL),
			    "cannot set a resource limit");
}

__attribute__((noreturn, used)) static void run(struct plan *plan)
{
	move_away__unmap_restart(plan);
	memory__make(plan);
	set_numbers(plan);
	set_signals(plan);
	tell_process(plan);
	threads__set_settings(plan, 0);
	if (plan->locks_future && syscall(SYS_mlockall, plan->locks_future) < 0)
		die__warn("memory to come is not locked as before (mlockall)");
	threads__start(plan);
	die__unless(syscall(SYS_close_range, plan->first_fd, UINT32_MAX, 0), "cannot close files");
	set_limits(plan);
	if (plan->is_undumpable)
		die__unless(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "cannot hide /proc/self");
	threads__become(plan, plan->main);
}

/* ---- leaving the C library ---- */

/* Moves the thread area into the program, and unregisters what the kernel would write to. */
static void leave_library(const struct plan *plan)
{
	unsigned char *old = __builtin_thread_pointer();
	unsigned char *new = thread_area + AREA_BYTES / 2;
	const uint64_t address = (uintptr_t) new; /* it is also in the area, at 0 and at 16 */

	memcpy(new, old, THREAD_HEAD);
	memcpy(new, &address, sizeof(address));
	memcpy(new + 16, &address, sizeof(address));
	if (plan->rseq && syscall(SYS_rseq, plan->rseq, plan->rseq_bytes, RSEQ_FLAG_UNREGISTER,
				  plan->rseq_signature) < 0)
		die__of("cannot unregister rseq", -errno);
	die__unless(syscall(SYS_set_robust_list, NULL, sizeof(struct robust_list_head)),
		    "cannot unregister the robust list");
	die__unless(syscall(SYS_arch_prctl, REGISTRATIONS_SET_FS, new), "cannot set FS");
}

void become__process(struct plan *plan)
{
	const uint64_t all = UINT64_MAX;

	die__set_fd(plan->messages_fd);
	die__unless(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof(all)),
		    "cannot block signals");
	leave_library(plan);
	__asm__ volatile("mov %0, %%rsp\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "call run"
			 :
			 : "r"(plan->stacks + PLAN_STACK_BYTES), "D"(plan)
			 : "memory");
	__builtin_unreachable();
}
