/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The registers that a call preserves (psABI, 3.2.1), and leaving one stack for another.
 */
#ifndef ROLLBACK_REGISTERS_H
#define ROLLBACK_REGISTERS_H

#include <stddef.h>
#include <stdint.h>

struct registers {
	uint64_t rbx, rbp, r12, r13, r14, r15;
	uint32_t mxcsr;
	uint16_t fpu_control, unused;
	uint64_t rsp; /* at the address to return to */
};
_Static_assert(offsetof(struct registers, mxcsr) == 48, "take.c, registers.c");
_Static_assert(offsetof(struct registers, rsp) == 56, "take.c, registers.c");

/* Calls function(argument) on the stack that ends at top, and returns what it does. */
long registers__call_on(void *top, long (*function)(void *), void *argument);

/* Continues as if rollback__take had returned 1. signal_mask: the mask from then on; NULL: it stays
 * as it is. It is set on the program's stack, because a signal may come at once. */
__attribute__((noreturn)) void registers__resume(const struct registers *registers,
						 const uint64_t *signal_mask);

#endif
