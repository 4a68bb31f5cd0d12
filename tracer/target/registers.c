/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See registers.h. Sources: ptrace(2), signal(7), arch/x86/kernel/signal.c and kernel/rseq.c of
 * Linux 6.18.
 */
#include "target/registers.h"

#include <elf.h>
#include <errno.h>
#include <linux/rseq.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef NT_X86_SHSTK
#define NT_X86_SHSTK 0x204 /* linux/elf.h of 6.6 */
#endif

enum {
	ERESTARTNOHAND = 514, /* include/linux/errno.h */
	ERESTART_RESTARTBLOCK = 516,
	EXTENDED_MAX = 1 << 16, /* AMX takes it to 11 KiB */
	LEGACY_BYTES = 512,     /* x87 and SSE, at the start of the extended state */
	LEGACY_STATES = 3,      /* their bits in the header that follows */
};

static bool reads(int memory, uint64_t address, void *bytes, size_t size)
{
	return pread(memory, bytes, size, (off_t)address) == (ssize_t)size;
}

/* area: of rseq(2), at which the thread has it. */
static void leave_sequence(uint64_t area, int memory, struct user_regs_struct *general)
{
	struct rseq_cs sequence;
	uint64_t pointer = 0;

	if (!reads(memory, area + offsetof(struct rseq, rseq_cs), &pointer, sizeof(pointer)) ||
	    !pointer || !reads(memory, pointer, &sequence, sizeof(sequence)))
		return;
	if (general->rip - sequence.start_ip < sequence.post_commit_offset)
		general->rip = sequence.abort_ip;
}

void registers__leave_sequence(pid_t tid, int memory, struct user_regs_struct *general)
{
	struct __ptrace_rseq_configuration rseq = {0};

	if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, tid, (void *)sizeof(rseq), &rseq) > 0 &&
	    rseq.rseq_abi_pointer)
		leave_sequence(rseq.rseq_abi_pointer, memory, general);
}

void registers__restart_call(struct user_regs_struct *general)
{
	if ((int64_t)general->rax != -EINTR)
		return;
	switch ((int64_t)general->orig_rax) {
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
	case SYS_epoll_pwait2:
	case SYS_semop:
	case SYS_semtimedop:
	case SYS_rt_sigtimedwait:
	case SYS_io_getevents:
	case SYS_read: /* and what follows: of a socket with SO_RCVTIMEO */
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_accept:
	case SYS_accept4:
		general->rax = (uint64_t)-ERESTARTNOHAND;
	}
}

void registers__restart(pid_t tid)
{
	struct user_regs_struct general;
	unsigned long long rax;

	if (ptrace(PTRACE_GETREGS, tid, NULL, &general))
		return;
	rax = general.rax;
	registers__restart_call(&general);
	if (general.rax != rax)
		(void)ptrace(PTRACE_SETREGS, tid, NULL, &general);
}

static int read_extended(pid_t tid, struct registers *registers)
{
	char bytes[EXTENDED_MAX];
	struct iovec all = {bytes, sizeof(bytes)};

	if (ptrace(PTRACE_GETREGSET, tid, (void *)NT_X86_XSTATE, &all))
		return -errno;
	registers->extended = malloc(all.iov_len);
	if (!registers->extended)
		return -ENOMEM;
	memcpy(registers->extended, bytes, all.iov_len);
	registers->extended_bytes = all.iov_len;
	return 0;
}

int registers__read(pid_t tid, struct registers *ret)
{
	struct registers registers = {0};
	struct iovec shadow = {&registers.shadow_stack, sizeof(registers.shadow_stack)};
	unsigned long long rax;
	int err;

	if (ptrace(PTRACE_GETREGS, tid, NULL, &registers.general) ||
	    ptrace(PTRACE_GETSIGMASK, tid, (void *)sizeof(registers.mask), &registers.mask))
		return -errno;
	err = read_extended(tid, &registers);
	if (err)
		return err;
	rax = registers.general.rax;
	registers__restart_call(&registers.general);
	if (registers.general.rax != rax)
		(void)ptrace(PTRACE_SETREGS, tid, NULL, &registers.general);
	if (ptrace(PTRACE_GETREGSET, tid, (void *)NT_X86_SHSTK, &shadow))
		registers.shadow_stack = 0;
	*ret = registers;
	return 0;
}

/* Do both have the same but for x87 and SSE, which both use? */
static bool differ_in_legacy_only(const char *a, const char *b, size_t bytes)
{
	uint64_t states;

	if (bytes < LEGACY_BYTES + sizeof(states) ||
	    memcmp(a + LEGACY_BYTES, b + LEGACY_BYTES, bytes - LEGACY_BYTES) != 0)
		return false;
	memcpy(&states, a + LEGACY_BYTES, sizeof(states));
	return (states & LEGACY_STATES) == LEGACY_STATES;
}

/* To set all of it takes twice as long as to read it, or as to set the legacy part: 4 us. */
static int write_extended(pid_t tid, const struct registers *registers)
{
	struct iovec saved = {registers->extended, registers->extended_bytes};
	char bytes[EXTENDED_MAX];
	struct iovec now = {bytes, sizeof(bytes)};
	uintptr_t kind = NT_X86_XSTATE;

	if (ptrace(PTRACE_GETREGSET, tid, (void *)kind, &now))
		return -errno;
	if (now.iov_len == saved.iov_len) {
		if (!memcmp(bytes, saved.iov_base, saved.iov_len))
			return 0;
		if (differ_in_legacy_only(bytes, saved.iov_base, saved.iov_len)) {
			kind = NT_PRFPREG;
			saved.iov_len = LEGACY_BYTES;
		}
	}
	return ptrace(PTRACE_SETREGSET, tid, (void *)kind, &saved) ? -errno : 0;
}

int registers__write(pid_t tid, const struct registers *registers)
{
	uint64_t pointer = registers->shadow_stack;
	struct iovec shadow = {&pointer, sizeof(pointer)};
	struct user_regs_struct general = registers->general;
	uint64_t mask = registers->mask;
	int err = write_extended(tid, registers);

	if (err)
		return err;
	if ((int64_t)general.orig_rax >= 0 && (int64_t)general.rax == -ERESTART_RESTARTBLOCK)
		general.rax = (uint64_t)-EINTR;
	if (ptrace(PTRACE_SETREGS, tid, NULL, &general) ||
	    ptrace(PTRACE_SETSIGMASK, tid, (void *)sizeof(mask), &mask))
		return -errno;
	if (pointer && ptrace(PTRACE_SETREGSET, tid, (void *)NT_X86_SHSTK, &shadow))
		return -errno;
	return 0;
}

void registers__clear(struct registers *registers)
{
	free(registers->extended);
	*registers = (struct registers){0};
}
