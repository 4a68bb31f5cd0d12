/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See landing.h. Sources: arch/x86/kernel/signal_64.c and fpu/signal.c of Linux 6.18 for the frame;
 * Intel's manual, volume 1, chapter 13, for the extended state.
 */
#include "save/landing.h"

#include <cpuid.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include "base/page.h"
#include "target/reason.h"

/* What the threads share; the code below knows the offsets. */
struct meeting {
	uint32_t arrived; /* threads */
	uint32_t may_go;  /* 1: the first thread has done its part */
	uint32_t threads;
	uint32_t unused;
	struct image_restart restart;
	struct itimerval timers[LANDING_TIMERS];
};
_Static_assert(offsetof(struct meeting, restart.leftovers) == 24, "the code says so");
_Static_assert(offsetof(struct meeting, timers) == 56, "the code says so");
_Static_assert(sizeof(struct itimerval) == 32, "the code says so");

/* R12 has the address of the meeting, RSP that of the frame. Nothing is pushed. All signals are
 * blocked until the end. */
extern const uint8_t landing_first[], landing_other[], landing_end[]; /* NOLINT: labels */
__asm__(".pushsection .rodata\n"
	"landing_first:\n"
	"	lock incl (%r12)\n"
	"1:	mov (%r12), %edx\n"
	"	cmp 8(%r12), %edx\n"
	"	je 2f\n"
	"	mov %r12, %rdi\n"
	"	mov $128, %esi\n" /* FUTEX_WAIT_PRIVATE */
	"	xor %r10d, %r10d\n"
	"	mov $202, %eax\n" /* SYS_futex */
	"	syscall\n"
	"	jmp 1b\n"
	"2:	mov 24(%r12), %rdi\n"
	"	mov 32(%r12), %rsi\n"
	"	sub %rdi, %rsi\n"
	"	mov $11, %eax\n" /* SYS_munmap */
	"	syscall\n"
	"	mov 40(%r12), %rdi\n"
	"	mov 48(%r12), %rsi\n"
	"	sub %rdi, %rsi\n"
	"	mov $11, %eax\n"
	"	syscall\n"
	"	xor %ebx, %ebx\n"
	"	lea 56(%r12), %r13\n"
	"3:	mov %ebx, %edi\n"
	"	mov %r13, %rsi\n"
	"	xor %edx, %edx\n"
	"	mov $38, %eax\n" /* SYS_setitimer */
	"	syscall\n"
	"	add $32, %r13\n"
	"	inc %ebx\n"
	"	cmp $3, %ebx\n"
	"	jb 3b\n"
	"	movl $1, 4(%r12)\n"
	"	lea 4(%r12), %rdi\n"
	"	mov $129, %esi\n" /* FUTEX_WAKE_PRIVATE */
	"	mov $0x7fffffff, %edx\n"
	"	mov $202, %eax\n"
	"	syscall\n"
	"	jmp 5f\n"
	"landing_other:\n"
	"	lock incl (%r12)\n"
	"	mov %r12, %rdi\n"
	"	mov $129, %esi\n"
	"	mov $1, %edx\n"
	"	mov $202, %eax\n"
	"	syscall\n"
	"4:	cmpl $0, 4(%r12)\n"
	"	jne 5f\n"
	"	lea 4(%r12), %rdi\n"
	"	mov $128, %esi\n"
	"	xor %edx, %edx\n"
	"	xor %r10d, %r10d\n"
	"	mov $202, %eax\n"
	"	syscall\n"
	"	jmp 4b\n"
	"5:	mov $15, %eax\n" /* SYS_rt_sigreturn */
	"	syscall\n"
	"landing_end:\n"
	".popsection\n");

static size_t offset_of(const uint8_t *label)
{
	return (uintptr_t)label - (uintptr_t)landing_first;
}

/* ---- extended state ---- */

enum {
	LEGACY_BYTES = 512,
	HEADER_BYTES = 64,
	SOFTWARE = 464, /* bytes for software in the legacy part */
	MAGIC_BYTES = 4,
	MAGIC_1 = 0x46505853, /* asm/sigcontext.h */
	MAGIC_2 = 0x46505845,
	STATE_LEAF = 0xd,
	FIRST_STATE = 2, /* behind the legacy part */
};
static const uint64_t TILES = 3ULL << 17; /* of AMX, which a process must ask the kernel for */

/* As struct _fpx_sw_bytes. */
struct software {
	uint32_t magic, extended_bytes;
	uint64_t states;
	uint32_t state_bytes, padding[7];
};
_Static_assert(sizeof(struct software) == LEGACY_BYTES - SOFTWARE, "it fills the room");

/* How much room these states take in an area of standard form. */
static uint32_t state_bytes(uint64_t states)
{
	uint32_t bytes = LEGACY_BYTES + HEADER_BYTES;

	for (uint32_t i = FIRST_STATE; i < 64; i++) {
		unsigned int size = 0, offset = 0, c = 0, d = 0;

		if ((states >> i & 1) && __get_cpuid_count(STATE_LEAF, i, &size, &offset, &c, &d) &&
		    offset + size > bytes)
			bytes = offset + size;
	}
	return bytes;
}

/* Writes the state as the kernel expects it in a frame. Returns 0, or -REASON_STATE_NOT_SAVED. */
static int put_state(uint8_t *to, const struct image_registers *registers, uint64_t states)
{
	const uint32_t magic = MAGIC_2, bytes = state_bytes(states & ~TILES);
	const struct software software = {
		.magic = MAGIC_1,
		.extended_bytes = bytes + MAGIC_BYTES,
		.states = states & ~TILES,
		.state_bytes = bytes,
	};
	uint64_t used;

	memcpy(&used, registers->xstate + LEGACY_BYTES, sizeof(used));
	if ((used & TILES) || bytes > registers->xstate_bytes)
		return -REASON_STATE_NOT_SAVED;
	memcpy(to, registers->xstate, bytes);
	memcpy(to + SOFTWARE, &software, sizeof(software));
	memcpy(to + bytes, &magic, sizeof(magic));
	return 0;
}

/* ---- frames ---- */

enum { ALIGNMENT = 64, EXTENDED = 1, HAS_SS = 2, STRICT_SS = 4 }; /* uc_flags; asm/ucontext.h */

/* The frame of a signal handler, without the return address before it. */
struct frame {
	unsigned long flags;
	struct ucontext_t *link;
	stack_t stack;
	uint64_t registers[NGREG];
	uint64_t state; /* its address */
	uint64_t reserved[8];
	uint64_t mask;
};
_Static_assert(offsetof(struct frame, mask) == 296, "as the kernel has struct ucontext");

static size_t frame_bytes(size_t xstate_bytes)
{
	const size_t bytes = (sizeof(struct frame) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;

	return bytes + (xstate_bytes + MAGIC_BYTES + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static void fill_frame(struct frame *frame, const struct user_regs_struct *user,
		       const struct image_thread *thread)
{
	uint64_t *g = frame->registers;

	frame->flags = EXTENDED | HAS_SS | STRICT_SS;
	frame->stack = (stack_t){
		.ss_sp = (void *)thread->altstack, /* NOLINT: an address of the process */
		.ss_flags = (int)thread->altstack_flags,
		.ss_size = thread->altstack_bytes,
	};
	frame->mask = thread->signal_mask;
	g[REG_R8] = user->r8;
	g[REG_R9] = user->r9;
	g[REG_R10] = user->r10;
	g[REG_R11] = user->r11;
	g[REG_R12] = user->r12;
	g[REG_R13] = user->r13;
	g[REG_R14] = user->r14;
	g[REG_R15] = user->r15;
	g[REG_RDI] = user->rdi;
	g[REG_RSI] = user->rsi;
	g[REG_RBP] = user->rbp;
	g[REG_RBX] = user->rbx;
	g[REG_RDX] = user->rdx;
	g[REG_RAX] = user->rax;
	g[REG_RCX] = user->rcx;
	g[REG_RSP] = user->rsp;
	g[REG_RIP] = user->rip;
	g[REG_EFL] = user->eflags;
	g[REG_CSGSFS] = user->cs | user->ss << 48;
}

/* Sets where a thread goes on, and its registers there. */
static void set_resume(struct image_thread *thread, const struct image_registers *registers,
		       uint64_t code, uint64_t meeting, uint64_t frame)
{
	uint16_t control;

	memcpy(&control, registers->xstate, sizeof(control));
	thread->fpu_control = control;
	memcpy(&thread->mxcsr, registers->xstate + 24, sizeof(thread->mxcsr));
	thread->rip = code;
	thread->rsp = frame;
	thread->r12 = meeting;
	thread->rbp = thread->rbx = thread->r13 = thread->r14 = thread->r15 = 0;
}

size_t landing__bytes(size_t threads, size_t xstate_bytes)
{
	return PAGE_BYTES + page__round_up(sizeof(struct meeting) + ALIGNMENT +
					   threads * frame_bytes(xstate_bytes));
}

int landing__make(struct landing *landing, uint64_t address, struct image *image, size_t first,
		  const struct itimerval *timers)
{
	const size_t xstate_bytes = image->registers[first].xstate_bytes;
	const size_t meeting_bytes =
		(sizeof(struct meeting) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	uint64_t at = PAGE_BYTES + meeting_bytes;
	struct meeting *meeting;
	int err = 0;

	landing->total_bytes = landing__bytes(image->thread_count, xstate_bytes);
	landing->bytes = calloc(1, landing->total_bytes);
	if (!landing->bytes)
		return -ENOMEM;
	landing->address = address;
	landing->code_bytes = PAGE_BYTES;
	memcpy(landing->bytes, landing_first, offset_of(landing_end));
	meeting = (struct meeting *)(landing->bytes + PAGE_BYTES);
	meeting->threads = (uint32_t)image->thread_count;
	meeting->restart.old_pid = image->process.pid;
	memcpy(meeting->timers, timers, sizeof(meeting->timers));
	image->process.restart = address + PAGE_BYTES + offsetof(struct meeting, restart);
	for (size_t i = 0; i < image->thread_count && !err; i++) {
		const struct image_registers *registers = &image->registers[i];
		struct frame *frame = (struct frame *)(landing->bytes + at);
		const uint64_t state = frame_bytes(0) - ALIGNMENT;

		if (registers->xstate_bytes != xstate_bytes)
			return -REASON_STATE_NOT_SAVED;
		fill_frame(frame, &registers->user, &image->threads[i]);
		frame->state = address + at + state;
		err = put_state(landing->bytes + at + state, registers, image->process.xcr0);
		set_resume(&image->threads[i], registers,
			   address + (i == first ? 0 : offset_of(landing_other)),
			   address + PAGE_BYTES, address + at);
		at += frame_bytes(xstate_bytes);
	}
	return err;
}

void landing__clear(struct landing *landing)
{
	free(landing->bytes);
	*landing = (struct landing){0};
}
