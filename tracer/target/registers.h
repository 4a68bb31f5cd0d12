/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The registers of a thread that the caller has stopped with ptrace(2). With them go its signal
 * mask.
 *
 * Always holds: a thread that gets registers back goes on as the kernel's rules for interrupted
 * calls say. A call that the kernel would restart by itself is made again. One that it would resume
 * (nanosleep(2), poll(2) with a time) ends with EINTR, because what it needs for that is gone.
 */
#ifndef TRACER_TARGET_REGISTERS_H
#define TRACER_TARGET_REGISTERS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

struct registers {
	struct user_regs_struct general; /* with FS and GS base */
	uint64_t mask;                   /* of blocked signals */
	uint64_t shadow_stack;           /* its pointer; 0 if it has none */
	size_t extended_bytes;
	void *extended; /* x87, SSE, AVX, AMX, ...: as the kernel gives them (NT_X86_XSTATE) */
};

/*
 * Reads the registers of thread tid, after registers__restart(tid). It may be inside a restartable
 * sequence (registers__leave_sequence). Returns 0 and *ret (registers__clear); -ESRCH; -ENOMEM; or
 * another -errno, *ret is then untouched.
 */
int registers__read(pid_t tid, struct registers *ret);

/* Gives them to the thread, but not what it has registered. 0, -ESRCH or another -errno: then only
 * some are set. */
int registers__write(pid_t tid, const struct registers *registers);

/* Frees what it holds; harmless on a zeroed struct. */
void registers__clear(struct registers *registers);

/*
 * Some calls end with EINTR at any stop, signal(7). Makes such a call end as the others do, so that
 * the kernel restarts it unless a handler of the program is called.
 */
void registers__restart_call(struct user_regs_struct *general);

/* The same for thread tid itself, which runs on with its own registers. */
void registers__restart(pid_t tid);

/*
 * Sets general to the abort handler if thread tid is inside a restartable sequence (rseq(2)). The
 * kernel does so when the thread returns to the program, but not for registers that are put back
 * later. memory: /proc/PID/mem, open for reading.
 */
void registers__leave_sequence(pid_t tid, int memory, struct user_regs_struct *general);

#endif
