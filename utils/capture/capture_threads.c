/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See capture_threads.h.
 */
#include "capture/capture_threads.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/nocancel.h"
#include "base/proc_text.h"
#include "capture/capture_settings.h"
#include "process/registrations.h"

ssize_t capture_threads__list(pid_t *tids, size_t max)
{
	int fd = nocancel__open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	_Alignas(struct dirent64) char entries[1024];
	size_t count = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	while ((n = syscall(SYS_getdents64, fd, entries, sizeof(entries))) > 0) {
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *entry = (const void *)(entries + at);
			const char *name = entry->d_name;

			at += entry->d_reclen;
			if (*name < '0' || *name > '9')
				continue;
			if (count < max)
				tids[count] = (pid_t)proc_text__take_number(&name, 10);
			count++;
		}
	}
	if (n < 0)
		n = -errno;
	(void)nocancel__close(fd);
	return n < 0 ? n : (ssize_t)count;
}

/* Of the calling thread. The kernel has 20 - nice, so that none is negative. */
static void describe_priority(struct image_scheduling *s)
{
	enum { NICE_ZERO = 20, IO_PRIORITY_OF_PROCESS = 1 };
	struct sched_param param = {0};
	const long nice = syscall(SYS_getpriority, PRIO_PROCESS, 0);
	const long policy = syscall(SYS_sched_getscheduler, 0);
	const long io_priority = syscall(SYS_ioprio_get, IO_PRIORITY_OF_PROCESS, 0);

	(void)syscall(SYS_sched_getparam, 0, &param);
	s->nice = nice > 0 ? NICE_ZERO - (int32_t)nice : 0;
	s->policy = policy > 0 ? (uint32_t)policy : 0;
	s->priority = (uint32_t)param.sched_priority;
	s->io_priority = io_priority > 0 ? (uint32_t)io_priority : 0;
}

/* Calls of the kernel change one thread, those of the C library all. */
static void describe_users(uint32_t users[8])
{
	(void)syscall(SYS_getresuid, &users[0], &users[1], &users[2]);
	(void)syscall(SYS_getresgid, &users[3], &users[4], &users[5]);
	users[6] = (uint32_t)syscall(SYS_setfsuid, -1); /* changes nothing */
	users[7] = (uint32_t)syscall(SYS_setfsgid, -1);
}

static void describe_namespaces(uint64_t namespaces[CAPTURE_THREAD_NAMESPACES])
{
	static const char *const links[CAPTURE_THREAD_NAMESPACES] = {
		"/proc/thread-self/ns/net",
		"/proc/thread-self/ns/uts",
		"/proc/thread-self/ns/ipc",
		"/proc/thread-self/ns/cgroup",
	};

	for (size_t i = 0; i < CAPTURE_THREAD_NAMESPACES; i++)
		namespaces[i] = proc_text__find_namespace(links[i]);
}

/* The kernel tells a thread of itself only. */
static void describe_scheduling(struct image_scheduling *s)
{
	int death_signal = 0;

	memset(s, 0, sizeof(*s));
	if (syscall(SYS_sched_getaffinity, 0, sizeof(s->processors), s->processors) < 0)
		memset(s->processors, 0, sizeof(s->processors));
	s->timer_slack_ns = (uint64_t)syscall(SYS_prctl, PR_GET_TIMERSLACK, 0, 0, 0, 0);
	if (syscall(SYS_prctl, PR_GET_PDEATHSIG, &death_signal, 0, 0, 0) == 0)
		s->death_signal = (uint32_t)death_signal;
	s->no_new_privs = syscall(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
	describe_priority(s);
}

/* Which processors there are: "0-3,6". All zeros if that is not known. */
static void read_online(uint64_t online[16])
{
	char text[1024];
	const char *p = text;

	memset(online, 0, 16 * sizeof(*online));
	if (proc_text__read("/sys/devices/system/cpu/online", text, sizeof(text)) <= 0)
		return;
	while (*p >= '0' && *p <= '9') {
		uint64_t first = proc_text__take_number(&p, 10), last = first;

		if (*p == '-') {
			p++;
			last = proc_text__take_number(&p, 10);
		}
		for (; first <= last && first < 1024; first++)
			online[first / 64] |= 1ULL << first % 64;
		p += *p == ',';
	}
}

/* A thread that may use all that there are may use any: elsewhere there are others. */
static void forget_all(struct image_scheduling *s, const uint64_t online[16])
{
	uint64_t any = 0;

	for (size_t i = 0; i < 16; i++) {
		any |= online[i];
		if (online[i] & ~s->processors[i])
			return;
	}
	if (any)
		memset(s->processors, 0, sizeof(s->processors));
}

pid_t capture_threads__new_tid(const struct stopped_thread *threads, pid_t old)
{
	for (const struct stopped_thread *t = threads; t; t = t->next) {
		if (t->thread.tid == old && t->thread.tid_address)
			return *(const pid_t *)t->thread.tid_address; /* NOLINT: an address */
	}
	return old;
}

void capture_threads__describe(struct stopped_thread *thread)
{
	struct image_thread *t = &thread->thread;
	size_t length = 0;
	void *head = NULL;
	stack_t stack = {0};
	bool has_rseq;

	memset(t, 0, sizeof(*t));
	t->tid = (int32_t)syscall(SYS_gettid);
	(void)syscall(SYS_arch_prctl, REGISTRATIONS_GET_FS, &t->fs_base);
	(void)syscall(SYS_arch_prctl, REGISTRATIONS_GET_GS, &t->gs_base);
	memcpy(&t->signal_mask, &thread->interrupted->uc_sigmask, sizeof(t->signal_mask));
	if (syscall(SYS_sigaltstack, NULL, &stack) == 0) {
		t->altstack = (uintptr_t)stack.ss_sp;
		t->altstack_bytes = stack.ss_size;
		t->altstack_flags = (uint32_t)stack.ss_flags & ~(uint32_t)SS_ONSTACK;
	}
	if (syscall(SYS_get_robust_list, 0, &head, &length) == 0) {
		t->robust_list = (uintptr_t)head;
		t->robust_bytes = length;
	}
	registrations__find_tid(t);
	has_rseq = registrations__has_rseq();
	if (has_rseq) /* not yet, in a thread that has just begun */
		registrations__find_rseq(t);
	thread->rseq_is_unknown = has_rseq && !t->rseq;
	(void)prctl(PR_GET_NAME, t->name);
	(void)syscall(SYS_rt_sigpending, &thread->pending, sizeof(thread->pending));
	describe_users(thread->users);
	describe_namespaces(thread->namespaces);
	describe_scheduling(&thread->scheduling);
	capture_settings__describe(&thread->settings);
}

static void fill_registers(struct user_regs_struct *user, const struct stopped_thread *thread)
{
	const greg_t *g = thread->interrupted->uc_mcontext.gregs;
	uint64_t segments = (uint64_t)g[REG_CSGSFS];

	*user = (struct user_regs_struct){
		.r15 = (uint64_t)g[REG_R15],
		.r14 = (uint64_t)g[REG_R14],
		.r13 = (uint64_t)g[REG_R13],
		.r12 = (uint64_t)g[REG_R12],
		.rbp = (uint64_t)g[REG_RBP],
		.rbx = (uint64_t)g[REG_RBX],
		.r11 = (uint64_t)g[REG_R11],
		.r10 = (uint64_t)g[REG_R10],
		.r9 = (uint64_t)g[REG_R9],
		.r8 = (uint64_t)g[REG_R8],
		.rax = (uint64_t)g[REG_RAX],
		.rcx = (uint64_t)g[REG_RCX],
		.rdx = (uint64_t)g[REG_RDX],
		.rsi = (uint64_t)g[REG_RSI],
		.rdi = (uint64_t)g[REG_RDI],
		.orig_rax = UINT64_MAX,
		.rip = (uint64_t)g[REG_RIP],
		.cs = segments & 0xffff,
		.eflags = (uint64_t)g[REG_EFL],
		.rsp = (uint64_t)g[REG_RSP],
		.ss = segments >> 48,
		.fs_base = thread->thread.fs_base,
		.gs_base = thread->thread.gs_base,
	};
}

/*
 * The kernel's signal frame has the extended state in the form of XSAVE. Bytes 464 to 511 are for
 * software: in a signal frame they say how long the state is, in a core file they begin with XCR0.
 * Source: struct _fpx_sw_bytes in asm/sigcontext.h; fpu/regset.c.
 */
static int fill_xstate(struct capture *c, const struct stopped_thread *thread,
		       struct image_registers *registers)
{
	enum { LEGACY = 512, SOFTWARE = 464, MAGIC = 0x46505853 };
	const unsigned char *frame = (const void *)thread->interrupted->uc_mcontext.fpregs;
	uint32_t magic, bytes;
	uint64_t xcr0 = registrations__xcr0();
	unsigned char *copy;

	if (!frame)
		return 0;
	memcpy(&magic, frame + SOFTWARE, sizeof(magic));
	memcpy(&bytes, frame + SOFTWARE + 16, sizeof(bytes));
	if (magic != MAGIC || bytes <= LEGACY || bytes > IMAGE_XSTATE_MAX)
		return 0;
	copy = arena__take(c->arena, bytes);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, frame, bytes);
	memset(copy + SOFTWARE, 0, LEGACY - SOFTWARE);
	memcpy(copy + SOFTWARE, &xcr0, sizeof(xcr0));
	registers->xstate = copy;
	registers->xstate_bytes = bytes;
	return 0;
}

/* Where getcontext has left the thread. */
static void fill_resume(struct image_thread *thread, const ucontext_t *resume)
{
	const greg_t *g = resume->uc_mcontext.gregs;

	thread->rip = (uint64_t)g[REG_RIP];
	thread->rsp = (uint64_t)g[REG_RSP];
	thread->rbp = (uint64_t)g[REG_RBP];
	thread->rbx = (uint64_t)g[REG_RBX];
	thread->r12 = (uint64_t)g[REG_R12];
	thread->r13 = (uint64_t)g[REG_R13];
	thread->r14 = (uint64_t)g[REG_R14];
	thread->r15 = (uint64_t)g[REG_R15];
	thread->mxcsr = resume->uc_mcontext.fpregs->mxcsr;
	thread->fpu_control = resume->uc_mcontext.fpregs->cwd;
}

int capture_threads__add(struct capture *c, struct stopped_thread *threads)
{
	struct image *image = c->image;
	uint64_t online[16];
	size_t count = 0;
	int err = 0;

	read_online(online);
	for (struct stopped_thread *v = threads; v; v = v->next)
		count++;
	image->threads = arena__take(c->arena, count * sizeof(*image->threads));
	image->registers = arena__take(c->arena, count * sizeof(*image->registers));
	image->scheduling = arena__take(c->arena, count * sizeof(*image->scheduling));
	if (!image->threads || !image->registers || !image->scheduling)
		return -ENOMEM;
	for (struct stopped_thread *v = threads; v && !err; v = v->next) {
		size_t i = image->thread_count++;

		fill_resume(&v->thread, &v->resume);
		image->threads[i] = v->thread;
		image->scheduling[i] = v->scheduling;
		forget_all(&image->scheduling[i], online);
		fill_registers(&image->registers[i].user, v);
		err = fill_xstate(c, v, &image->registers[i]);
	}
	return err;
}
