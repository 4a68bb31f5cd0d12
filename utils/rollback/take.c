/* SPDX-License-Identifier: BSD-2-Clause
 *
 * rollback__take (rollback.h). It stores the registers of its caller, which a function in C has
 * changed by then.
 */
#include "rollback/registers.h"

/* rollback__take_with(ret_rollback, options, registers), see rollback.c */
__asm__(".text\n"
	".globl rollback__take\n"
	".type rollback__take, @function\n"
	"rollback__take:\n"
	"	.cfi_startproc\n"
	"	endbr64\n"
	"	sub $72, %rsp\n"
	"	.cfi_adjust_cfa_offset 72\n"
	"	mov %rbx, 0(%rsp)\n"
	"	mov %rbp, 8(%rsp)\n"
	"	mov %r12, 16(%rsp)\n"
	"	mov %r13, 24(%rsp)\n"
	"	mov %r14, 32(%rsp)\n"
	"	mov %r15, 40(%rsp)\n"
	"	stmxcsr 48(%rsp)\n"
	"	fnstcw 52(%rsp)\n"
	"	lea 72(%rsp), %rax\n"
	"	mov %rax, 56(%rsp)\n"
	"	mov %rsp, %rdx\n"
	"	call rollback__take_with\n"
	"	add $72, %rsp\n"
	"	.cfi_adjust_cfa_offset -72\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size rollback__take, . - rollback__take\n");
