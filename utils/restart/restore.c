/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See restore.h. The order is: everything but restart's program and the plan goes away; the
 * mappings of the image come; their contents; then what the kernel keeps for a process and for a
 * thread; and each thread jumps to its resume point. There the process itself unmaps what is left
 * of restart (come_back in libckpt.c).
 *
 * The C library's state was in memory that is gone: only its system call wrappers and memory
 * functions are used, with a thread area (FS) and a stack of our own. New threads make system calls
 * by hand, since they share that area.
 */
#include "restart/restore.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/prctl.h>
#include <linux/rseq.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "restart/raw_syscall.h"
#include "restart/load.h"
#include "image/registrations.h"

enum {
	FAILED = 125,
	AREA_BYTES = 8192,
	THREAD_HEAD = 64, /* of the C library's control block: pointers to itself, the canary */
};

static _Alignas(64) unsigned char thread_area[AREA_BYTES];
static int messages_fd = -1; /* ours; the process's own is open by then */

/* ---- saying why not ---- */

static void add(char *line, size_t *length, size_t room, const char *text)
{
	size_t part = strlen(text);

	if (part > room - *length)
		part = room - *length;
	memcpy(line + *length, text, part); /* NOLINT: no string is made */
	*length += part;
}

/* Nobody is told if there is nowhere to say it. */
static void say(const char *line, size_t length)
{
	(void)raw_syscall__call(SYS_write, (uint64_t)messages_fd, (uintptr_t)line, length, 0);
}

__attribute__((noreturn)) static void die(const char *what, int err)
{
	const char *reason = err ? strerrordesc_np(-err) : NULL;
	char line[IMAGE_MESSAGE_BYTES + 64];
	size_t length = 0;

	add(line, &length, sizeof(line), "restart: ");
	add(line, &length, sizeof(line), what);
	if (reason) {
		add(line, &length, sizeof(line), ": ");
		add(line, &length, sizeof(line), reason);
	}
	add(line, &length, sizeof(line), "\n");
	say(line, length);
	_exit(FAILED);
}

static void must(long result, const char *what)
{
	if (result < 0)
		die(what, -errno);
}

/* ---- memory ---- */

static void *at(uint64_t address)
{
	return (void *)address; /* NOLINT: an address of the image */
}

/* vvar and vdso go to a place where nothing of the image will be, or from there to theirs. */
static void move_kernel_parts(const struct plan *plan, int to_shelter)
{
	uint64_t shelter = plan->shelter;

	for (size_t i = 0; i < plan->move_count; i++) {
		const struct plan_move *move = &plan->moves[i];
		uint64_t from = to_shelter ? move->from : shelter;
		uint64_t to = to_shelter ? shelter : move->to;

		if (mremap(at(from), move->bytes, move->bytes, MREMAP_MAYMOVE | MREMAP_FIXED,
			   at(to)) == MAP_FAILED)
			die("the kernel does not let the vdso be moved", -errno);
		shelter += move->bytes;
	}
}

static uint64_t shelter_end(const struct plan *plan)
{
	uint64_t end = plan->shelter;

	for (size_t i = 0; i < plan->move_count; i++)
		end += plan->moves[i].bytes;
	return end;
}

static void unmap(uint64_t start, uint64_t end)
{
	if (start < end)
		must(munmap(at(start), end - start), "cannot leave the old memory");
}

static void unmap_everything_else(const struct plan *plan)
{
	const uint64_t top = (1ULL << 47) - PAGE_BYTES;

	unmap(0, plan->program_start);
	unmap(plan->program_end, plan->start);
	unmap(shelter_end(plan), top);
}

static void map(const struct plan_mapping *m)
{
	int protection = m->is_loaded ? PROT_READ | PROT_WRITE : m->protection;
	void *mapped = mmap(at(m->start), m->end - m->start, protection, m->flags | MAP_FIXED,
			    m->fd, (off_t)m->offset);

	/* More than the kernel promises to a new program; the old one had asked it not to count. */
	if (mapped == MAP_FAILED && errno == ENOMEM)
		mapped = mmap(at(m->start), m->end - m->start, protection,
			      m->flags | MAP_FIXED | MAP_NORESERVE, m->fd, (off_t)m->offset);
	if (mapped == MAP_FAILED)
		die("cannot map memory of the process", -errno);
}

__attribute__((noreturn)) static void die_of_image(const struct plan *plan, int fd, int err)
{
	char what[IMAGE_MESSAGE_BYTES];
	const char *reason = ": cannot be read";
	size_t length = 0;

	for (size_t i = 0; i < plan->image_count; i++) {
		if (plan->images[i].fd == fd)
			add(what, &length, sizeof(what) - 1, plan->images[i].path);
	}
	if (err == -EBADMSG)
		reason = ": damaged: a checksum of its memory is wrong (readckpt says where)";
	else if (err == -ENODATA)
		reason = ": it was cut off while it was read";
	else if (err == -EINTR)
		reason = ": cannot be read: a helper of restart was killed; try again";
	add(what, &length, sizeof(what) - 1, reason);
	what[length] = '\0';
	die(what, err == -EBADMSG || err == -ENODATA || err == -EINTR ? 0 : err);
}

static void make_memory(const struct plan *plan)
{
	int err, fd;

	for (size_t i = 0; i < plan->mapping_count; i++)
		map(&plan->mappings[i]);
	err = load__pieces(plan, &fd);
	if (err)
		die_of_image(plan, fd, err);
	for (size_t i = 0; i < plan->mapping_count; i++) {
		const struct plan_mapping *m = &plan->mappings[i];

		if (m->is_loaded && m->protection != (PROT_READ | PROT_WRITE))
			must(mprotect(at(m->start), m->end - m->start, m->protection),
			     "cannot protect memory of the process");
	}
}

/* ---- the process ---- */

/* The heap grows from where it was, /proc shows the arguments. Without it (a kernel without
 * CONFIG_CHECKPOINT_RESTORE) brk(2) fails from now on, and malloc takes its memory from mmap(2). */
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
		.exe_fd = UINT32_MAX,
	};
	static const char warning[] = "restart: warning: the kernel does not set brk; the heap "
				      "will grow elsewhere\n";

	if (prctl(PR_SET_MM, PR_SET_MM_MAP, &map_of, sizeof(map_of), 0) < 0)
		say(warning, sizeof(warning) - 1);
}

static void set_signals(const struct plan *plan)
{
	for (int i = 0; i < IMAGE_SIGNALS; i++) {
		if (i + 1 == SIGKILL || i + 1 == SIGSTOP)
			continue;
		must(syscall(SYS_rt_sigaction, i + 1, &plan->signals[i], NULL, sizeof(uint64_t)),
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

/* ---- threads ---- */

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

/* What the kernel keeps for a thread. The calls cannot fail with what the kernel itself had told,
 * but for rseq, without which a C library does. */
__attribute__((noreturn)) static void become(void *thread)
{
	const struct image_thread *t = thread;
	stack_t stack = {.ss_sp = at(t->altstack),
			 .ss_size = t->altstack_bytes,
			 .ss_flags = (int)t->altstack_flags};
	long tid;

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

/* The thread begins in become(). Returns its tid, or -errno. */
static long start_thread(struct image_thread *t, unsigned char *stack, int with_tid)
{
	const pid_t tid = t->tid;
	const struct clone_args args = {
		.flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
			 CLONE_SYSVSEM,
		.stack = (uintptr_t)stack,
		.stack_size = PLAN_STACK_BYTES,
		.set_tid = with_tid ? (uintptr_t)&tid : 0,
		.set_tid_size = with_tid ? 1 : 0,
	};

	return raw_syscall__clone(&args, become, t);
}

/* With the tid it had, if that is free and we are allowed to; or else with any. */
static void start_threads(const struct plan *plan)
{
	for (size_t i = 0; i < plan->thread_count; i++) {
		unsigned char *stack = plan->stacks + (i + 1) * PLAN_STACK_BYTES;
		long tid;

		if (i == plan->main)
			continue;
		tid = start_thread(&plan->threads[i], stack, 1);
		if (tid == -EPERM || tid == -EEXIST || tid == -EINVAL)
			tid = start_thread(&plan->threads[i], stack, 0);
		if (tid < 0)
			die("cannot start a thread", (int)tid);
	}
}

__attribute__((noreturn, used)) static void run(struct plan *plan)
{
	move_kernel_parts(plan, 1);
	unmap_everything_else(plan);
	make_memory(plan);
	move_kernel_parts(plan, 0);
	set_numbers(plan);
	set_signals(plan);
	tell_process(plan);
	start_threads(plan); /* they wait for each other in the process */
	must(syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &plan->file_limit, NULL),
	     "cannot set the limit of open files back");
	must(syscall(SYS_close_range, plan->first_fd, UINT32_MAX, 0), "cannot close files");
	become(&plan->threads[plan->main]);
}

/* The thread area moves into the program, and rseq, which the kernel writes to, goes. */
static void leave_library(const struct plan *plan)
{
	unsigned char *old = __builtin_thread_pointer();
	unsigned char *new = thread_area + AREA_BYTES / 2;
	const uint64_t address = (uintptr_t) new; /* which is at 0 and 16 of it */

	memcpy(new, old, THREAD_HEAD);
	memcpy(new, &address, sizeof(address));
	memcpy(new + 16, &address, sizeof(address));
	if (plan->rseq && syscall(SYS_rseq, plan->rseq, plan->rseq_bytes, RSEQ_FLAG_UNREGISTER,
				  plan->rseq_signature) < 0)
		die("cannot unregister rseq", -errno);
	must(syscall(SYS_set_robust_list, NULL, sizeof(struct robust_list_head)),
	     "cannot unregister the robust list");
	must(syscall(SYS_arch_prctl, REGISTRATIONS_SET_FS, new), "cannot set FS");
}

__attribute__((noreturn)) void restore__run(struct plan *plan)
{
	const uint64_t all = UINT64_MAX;

	messages_fd = plan->messages_fd;
	must(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof(all)),
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
