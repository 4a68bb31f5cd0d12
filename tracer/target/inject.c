/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See inject.h. Sources: ptrace(2); kernel/signal.c, arch/x86/kernel/signal.c and kernel/rseq.c of
 * Linux 6.18. The thread is stepped from system call to system call and never by instruction: a
 * trap whose signal is blocked or ignored makes the kernel drop the program's handler of it.
 */
#include "target/inject.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/procfs.h"
#include "pages/write_protect.h"
#include "target/freeze.h"
#include "target/helper.h"
#include "target/reason.h"
#include "target/registers.h"
#include "target/threads.h"
#include "target/tracee.h"
#include "target/userfault.h"

/* linux/ptrace.h of 6.4 */
#ifndef PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG
#define PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG 0x4211
#endif
struct dispatch_configuration {
	uint64_t mode, selector, offset, length;
};

enum {
	DEADLINE_SECONDS = 2, /* a parent inside vfork(2) does not stop */
	/* errors of interrupted calls that only the kernel knows */
	RESTART_FIRST = 512,
	RESTART_LAST = 516,
	LAST_ERROR = 4095, /* of those that programs may see */
	SYSCALL_STOP = SIGTRAP | 0x80,
	USER_CODE = 0x33,   /* the code segment of 64-bit programs */
	STEP_FLAG = 1 << 8, /* of eflags: trap after each instruction */
	X32_CALL = 1 << 30,
	SYSCALL_BYTES = 2,
	BLOCK = 1 << 16,
};

struct inject {
	pid_t pid, tid;        /* tid makes the calls; 0: it is not held */
	struct freeze *freeze; /* of all threads but tid; NULL: the caller holds them */
	int memory;            /* /proc/PID/mem */
	uint64_t site;         /* of a syscall instruction */
	uintptr_t options;     /* of ptrace(2) */
	struct user_regs_struct registers;
	uint64_t mask;
	bool is_masked, has_called;
};

/* ---- stops ---- */

/* Lets the thread run by that request until it stops at a system call, or by PTRACE_INTERRUPT if
 * event; it gets the signals that come first. Returns 0; -ESRCH; -REASON_NOT_STOPPED; -EFAULT if it
 * cannot execute the instruction; or another -errno. */
static int run_to_stop(struct tracee_waits *waits, pid_t tid, int request, bool event)
{
	const uint64_t deadline_ns = clock__now_ns() + DEADLINE_SECONDS * 1000000000ULL;
	int err, status;

	for (int signal = 0;; signal = status >> 8 ? 0 : status) {
		if (request && ptrace(request, tid, NULL, (void *)(intptr_t)signal))
			return -errno;
		if (!request)
			request = PTRACE_CONT; /* it runs already */
		err = tracee__wait_stop(waits, tid, 0, deadline_ns, &status);
		if (err)
			return err;
		if (event ? status >> 8 == PTRACE_EVENT_STOP : status == SYSCALL_STOP)
			return 0;
		if (!event && (status == SIGSEGV || status == SIGBUS || status == SIGILL))
			return -EFAULT;
		if (status == SYSCALL_STOP)
			status = 0;
	}
}

/* A thread that runs already may have stopped, and its signal may be gone. */
static int run(pid_t tid, int request, bool event)
{
	struct tracee_waits waits = {0};
	int err;

	tracee__begin_waits(&waits);
	waits.looks_first = !request;
	err = run_to_stop(&waits, tid, request, event);
	tracee__end_waits(&waits);
	return err;
}

/* ---- may it be done? ---- */

/* Refuses where the kernel would take a call as one of a 32-bit or x32 program: it restarts those
 * in other ways. */
static int check_kind(const struct inject *inject)
{
	const struct user_regs_struct *registers = &inject->registers;
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, inject->tid, (void *)sizeof(info), &info) < 0)
		return -errno;
	if (info.arch != AUDIT_ARCH_X86_64 || registers->cs != USER_CODE ||
	    ((int64_t)registers->orig_rax >= 0 && (registers->orig_rax & X32_CALL)))
		return -REASON_CALLS_FOREIGN;
	return 0;
}

/* A filter may kill for a call that it does not know: it must never see one. */
static int check_filters(struct inject *inject)
{
	const pid_t tid = inject->tid;
	struct dispatch_configuration dispatch = {0};
	uint64_t seccomp = 0;
	int err = procfs__status_u64(tid, "Seccomp", &seccomp);

	if (err && err != -ENOENT)
		return err;
	if (seccomp)
		inject->options |= PTRACE_O_SUSPEND_SECCOMP;
	if (seccomp && ptrace(PTRACE_SETOPTIONS, tid, NULL, (void *)inject->options))
		return errno == ESRCH ? -ESRCH : -REASON_CALLS_FILTERED;
	if (ptrace(PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, tid, (void *)sizeof(dispatch),
		   &dispatch) == 0 &&
	    dispatch.mode)
		return -REASON_CALLS_FILTERED;
	return 0;
}

/* ---- where ---- */

static bool reads(const struct inject *inject, uint64_t address, void *bytes, size_t size)
{
	return pread(inject->memory, bytes, size, (off_t)address) == (ssize_t)size;
}

static bool is_syscall(const struct inject *inject, uint64_t address)
{
	unsigned char bytes[SYSCALL_BYTES];

	return reads(inject, address, bytes, sizeof(bytes)) && bytes[0] == 0x0f && bytes[1] == 0x05;
}

/* Looks for the instruction in a mapping. */
static bool find_in(struct inject *inject, const struct mapping *mapping, unsigned char *block)
{
	static const unsigned char bytes[SYSCALL_BYTES] = {0x0f, 0x05};

	for (uint64_t at = mapping->start; at < mapping->end; at += BLOCK - 1) {
		const uint64_t size = mapping->end - at < BLOCK ? mapping->end - at : BLOCK;
		const ssize_t count = pread(inject->memory, block, size, (off_t)at);
		const unsigned char *found =
			count > 0 ? memmem(block, (size_t)count, bytes, sizeof(bytes)) : NULL;

		if (!found)
			continue;
		inject->site = at + (uint64_t)(found - block);
		return true;
	}
	return false;
}

static bool touches(const struct intervals *ranges, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < ranges->count; i++)
		if (ranges->items[i].start < end && start < ranges->items[i].end)
			return true;
	return false;
}

/* In a mapping that ranges do not touch: in the vdso, if it has one; else anywhere. */
static int find_site_outside(struct inject *inject, const struct intervals *ranges)
{
	struct mappings mappings = {0};
	unsigned char *block = NULL;
	bool found = false;
	int err = procfs__mappings(inject->pid, &mappings);

	if (err)
		return err;
	block = malloc(BLOCK);
	if (!block) {
		err = -ENOMEM;
		goto out;
	}
	for (size_t i = 0; i < mappings.count && !found; i++)
		found = !strcmp(mappings.items[i].path, "[vdso]") &&
			find_in(inject, &mappings.items[i], block);
	for (size_t i = 0; i < mappings.count && !found; i++)
		found = (mappings.items[i].flags & MAPPING_EXEC) &&
			!touches(ranges, mappings.items[i].start, mappings.items[i].end) &&
			find_in(inject, &mappings.items[i], block);
	err = found ? 0 : -REASON_NO_SYSCALL;
out:
	free(block);
	procfs__free_mappings(&mappings);
	return err;
}

/* In the call that was interrupted; else where there is one. */
static int find_site(struct inject *inject)
{
	static const struct intervals none;
	const uint64_t before = inject->registers.rip - SYSCALL_BYTES;

	if ((int64_t)inject->registers.orig_rax >= 0 && is_syscall(inject, before)) {
		inject->site = before;
		return 0;
	}
	return find_site_outside(inject, &none);
}

int inject__avoid(struct inject *inject, const struct intervals *ranges)
{
	return touches(ranges, inject->site, inject->site + SYSCALL_BYTES)
		       ? find_site_outside(inject, ranges)
		       : 0;
}

/* ---- what is put back ---- */

static int keep_state(struct inject *inject)
{
	if (ptrace(PTRACE_GETREGS, inject->tid, NULL, &inject->registers) ||
	    ptrace(PTRACE_GETSIGMASK, inject->tid, (void *)sizeof(inject->mask), &inject->mask))
		return -errno;
	registers__restart_call(&inject->registers);
	return 0;
}

/*
 * PTRACE_DETACH, which follows, wakes the thread as a signal does (__ptrace_unlink). So the kernel
 * handles signals first. Only then an interrupted call is restarted, or ends with EINTR if a
 * handler was called. If it did not look for signals, -ERESTARTSYS would reach the program.
 */
static int put_state(const struct inject *inject)
{
	const pid_t tid = inject->tid;

	if (inject->has_called && ptrace(PTRACE_SETREGS, tid, NULL, &inject->registers))
		return -errno;
	if (inject->is_masked &&
	    ptrace(PTRACE_SETSIGMASK, tid, (void *)sizeof(inject->mask), &inject->mask))
		return -errno;
	return 0;
}

/* ---- the calls ---- */

/* Keeps its state, and finds out whether and where it may make calls. */
static int prepare(struct inject *inject)
{
	int err = keep_state(inject);

	if (err)
		return err;
	err = check_kind(inject);
	if (err)
		return err;
	err = check_filters(inject);
	return err ? err : find_site(inject);
}

static int create(pid_t pid, pid_t tid, struct inject **ret_inject)
{
	struct inject *inject = calloc(1, sizeof(*inject));
	int memory;

	if (!inject)
		return -ENOMEM;
	memory = procfs__open(pid, "mem", O_RDONLY);
	if (memory < 0) {
		free(inject);
		return memory;
	}
	*inject = (struct inject){
		.pid = pid, .tid = tid, .memory = memory, .options = PTRACE_O_TRACESYSGOOD};
	*ret_inject = inject;
	return 0;
}

/* Stops the first thread, then the others. */
static int stop(struct inject *inject)
{
	const pid_t tid = inject->tid;
	int err;

	if (ptrace(PTRACE_SEIZE, tid, NULL, (void *)inject->options)) {
		inject->tid = 0;
		return errno == EPERM ? tracee__refusal(tid) : -errno;
	}
	err = ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) ? -errno : run(tid, 0, true);
	if (err)
		goto out;
	err = prepare(inject);
	if (err)
		goto out;
	err = freeze__create(inject->pid, false, &inject->freeze);
	if (err)
		goto out;
	err = freeze__stop(inject->freeze, tid);
	if (err)
		goto out;
	registers__leave_sequence(tid, inject->memory, &inject->registers);
out:
	return err;
}

int inject__open(pid_t pid, struct inject **ret_inject)
{
	struct inject *inject;
	int err = create(pid, pid, &inject);

	if (err)
		return err;
	err = stop(inject);
	if (err) {
		(void)inject__close(inject);
		return err;
	}
	*ret_inject = inject;
	return 0;
}

int inject__open_held(pid_t pid, pid_t tid, struct inject **ret_inject)
{
	struct inject *inject;
	int err = create(pid, tid, &inject);

	if (err)
		return err;
	err = prepare(inject);
	if (err) {
		inject->tid = 0;
		(void)inject__close(inject);
		return err;
	}
	registers__leave_sequence(tid, inject->memory, &inject->registers);
	inject->options |= PTRACE_O_EXITKILL;
	*ret_inject = inject;
	return 0;
}

/* Gives it the registers with which it makes a call, and blocks its signals. */
static int begin(struct inject *inject, long nr, const uint64_t args[6])
{
	struct user_regs_struct registers = inject->registers;
	const uint64_t all = UINT64_MAX;
	const pid_t tid = inject->tid;

	registers.rip = inject->site;
	registers.rax = (uint64_t)nr;
	registers.orig_rax = UINT64_MAX; /* no call that the kernel might restart */
	registers.eflags &= ~(uint64_t)STEP_FLAG;
	registers.rdi = args[0];
	registers.rsi = args[1];
	registers.rdx = args[2];
	registers.r10 = args[3];
	registers.r8 = args[4];
	registers.r9 = args[5];
	if (nr == SYS_sigaltstack) /* the kernel refuses it on the signal stack itself */
		registers.rsp = 0;
	if (!inject->is_masked && (ptrace(PTRACE_SETOPTIONS, tid, NULL, (void *)inject->options) ||
				   ptrace(PTRACE_SETSIGMASK, tid, (void *)sizeof(all), &all)))
		return -errno;
	inject->is_masked = inject->has_called = true;
	return ptrace(PTRACE_SETREGS, tid, NULL, &registers) ? -errno : 0;
}

/* Interrupts a call that sleeps, as open(2) on a file system that does not answer. */
static int break_off(pid_t tid)
{
	return ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) ? -errno : run(tid, 0, false);
}

static int64_t result_of(const struct user_regs_struct *registers)
{
	const int64_t result = (int64_t)registers->rax;

	return result >= -RESTART_LAST && result <= -RESTART_FIRST ? -EINTR : result;
}

int inject__call(struct inject *inject, long nr, const uint64_t args[6], int64_t *ret_result)
{
	struct user_regs_struct registers;
	const pid_t tid = inject->tid;
	int err = begin(inject, nr, args);

	if (err)
		goto out;
	err = run(tid, PTRACE_SYSCALL, false); /* it begins */
	if (err)
		goto out;
	err = run(tid, PTRACE_SYSCALL, false); /* it ends */
	if (err == -REASON_NOT_STOPPED)
		err = break_off(tid);
	if (err)
		goto out;
	if (ptrace(PTRACE_GETREGS, tid, NULL, &registers))
		err = -errno;
	if (err)
		goto out;
	*ret_result = result_of(&registers);
out:
	return err;
}

int inject__checked_call(struct inject *inject, int64_t *ret_value, long nr, uint64_t a, uint64_t b,
			 uint64_t c, uint64_t d, uint64_t e)
{
	const uint64_t args[6] = {a, b, c, d, e, 0};
	int64_t value = 0;
	int err = inject__call(inject, nr, args, &value);

	if (err)
		return err;
	if (value < 0 && value >= -LAST_ERROR)
		return (int)value;
	if (ret_value)
		*ret_value = value;
	return 0;
}

/* Waits for the end of a thread that runs towards it. It may have to stop once more on its way, if
 * job control has stopped its process. */
static int wait_end(pid_t tid)
{
	const struct timespec nap = {.tv_nsec = 20000};
	const uint64_t deadline_ns = clock__now_ns() + DEADLINE_SECONDS * 1000000000ULL;

	while (clock__now_ns() < deadline_ns) {
		siginfo_t info = {0};

		if (waitid(P_PID, (id_t)tid, &info, WEXITED | WNOHANG | __WALL) && errno != EINTR)
			return 0; /* nobody is there any more */
		if (info.si_pid && info.si_code != CLD_TRAPPED && info.si_code != CLD_STOPPED)
			return 0;
		if (info.si_pid && ptrace(PTRACE_CONT, tid, NULL, NULL))
			return -errno;
		(void)nanosleep(&nap, NULL);
	}
	return -REASON_NOT_STOPPED;
}

int inject__exit(struct inject *inject)
{
	const uint64_t none[6] = {0};
	const pid_t tid = inject->tid;
	int err = begin(inject, SYS_exit, none);

	if (err)
		goto out;
	if (ptrace(PTRACE_CONT, tid, NULL, NULL))
		err = -errno;
	if (err)
		goto out;
	err = wait_end(tid);
out:
	inject->tid = 0;
	(void)inject__close(inject);
	return err;
}

int inject__close(struct inject *inject)
{
	int err = 0;

	if (!inject)
		return 0;
	if (inject->tid)
		err = put_state(inject);
	if (inject->tid && !(inject->options & PTRACE_O_EXITKILL) &&
	    ptrace(PTRACE_DETACH, inject->tid, NULL, NULL) && !err)
		err = -errno;
	freeze__free(inject->freeze);
	(void)close(inject->memory);
	free(inject);
	return err;
}

/* ---- a userfaultfd ---- */

/* Takes over what the process has open as number. Returns the descriptor or -errno. */
static int take_over(pid_t pid, int number)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), fd;

	if (pidfd < 0) /* it is not the first thread, which has ended */
		pidfd = (int)syscall(SYS_pidfd_open, pid, THREADS_PIDFD);
	if (pidfd < 0)
		return -errno;
	fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
	if (fd < 0)
		fd = -errno;
	(void)close(pidfd);
	return fd;
}

static int make_userfaultfd(void *argument)
{
	const pid_t pid = *(const pid_t *)argument;
	const uint64_t flags[6] = {WRITE_PROTECT_FLAGS};
	struct inject *inject = NULL;
	int64_t number = -1, closed;
	int fd = -1, err, closing;

	err = inject__open(pid, &inject);
	if (err)
		return err;
	err = inject__call(inject, SYS_userfaultfd, flags, &number);
	if (err)
		goto out;
	if (number < 0) {
		err = (int)number;
		goto out;
	}
	fd = take_over(pid, (int)number);
	err = inject__call(inject, SYS_close, (const uint64_t[6]){(uint64_t)number}, &closed);
	if (fd < 0)
		err = fd;
out:
	closing = inject__close(inject);
	if (!err)
		err = closing;
	if (err && fd >= 0)
		(void)close(fd);
	return err ? err : fd;
}

int inject__userfaultfd(pid_t pid)
{
	int err = userfault__is_open(pid);

	if (err)
		return err > 0 ? -REASON_OWN_USERFAULT : err;
	return helper__run(make_userfaultfd, &pid);
}
