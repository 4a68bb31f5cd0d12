/* SPDX-License-Identifier: BSD-2-Clause
 *
 * System calls without errno and without the C library. They serve code that runs when the memory
 * of the C library is gone, or is being replaced.
 */
#ifndef BASE_RAW_SYSCALL_H
#define BASE_RAW_SYSCALL_H

#include <errno.h>
#include <linux/sched.h>
#include <stdint.h>
#include <sys/syscall.h>

/* Returns as the kernel does: -errno on failure. */
static inline long raw_syscall__call6(long number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
				      uint64_t e, uint64_t f)
{
	register uint64_t r10 __asm__("r10") = d;
	register uint64_t r8 __asm__("r8") = e;
	register uint64_t r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

/* The same for fewer arguments; the others are 0, on which some calls of prctl(2) insist. */
static inline long raw_syscall__call(long number, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	return raw_syscall__call6(number, a, b, c, d, 0, 0);
}

/* clone3(2), or clone(2) if clone3 ends with ENOSYS or EPERM: the filters of containers forbid it,
 * because they cannot look at its arguments. args must name a stack; with a number (set_tid)
 * clone(2) is not tried. The new task begins in begin(argument), which never returns. Returns its
 * number, or -errno. */
static inline long raw_syscall__clone(const struct clone_args *args, void (*begin)(void *),
				      void *argument)
{
	register void *to __asm__("r12") = argument;
	register void (*start)(void *) __asm__("r13") = begin;
	register uint64_t r10 __asm__("r10") = 0;
	long result;

#define RAW_SYSCALL_NEW_TASK                                                                       \
	"syscall\n\t"                                                                              \
	"test %%rax, %%rax\n\t"                                                                    \
	"jnz 1f\n\t"                                                                               \
	"xor %%ebp, %%ebp\n\t"                                                                     \
	"mov %%r12, %%rdi\n\t"                                                                     \
	"call *%%r13\n"                                                                            \
	"1:"
	__asm__ volatile(RAW_SYSCALL_NEW_TASK
			 : "=a"(result)
			 : "0"(SYS_clone3), "D"(args), "S"(sizeof(*args)), "r"(to), "r"(start)
			 : "rcx", "r11", "memory");
	if ((result != -ENOSYS && result != -EPERM) || args->set_tid_size)
		return result;
	__asm__ volatile(RAW_SYSCALL_NEW_TASK
			 : "=a"(result)
			 : "0"(SYS_clone), "D"(args->flags), "S"(args->stack + args->stack_size),
			   "d"(0), "r"(r10), "r"(to), "r"(start)
			 : "rcx", "r8", "r11", "memory");
#undef RAW_SYSCALL_NEW_TASK
	return result;
}

#endif
