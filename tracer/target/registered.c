/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See registered.h.
 */
#include "target/registered.h"

#include <linux/futex.h>
#include <linux/rseq.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/page.h"

void registered__read(pid_t tid, struct registered *ret)
{
	struct __ptrace_rseq_configuration rseq = {0};
	size_t bytes = 0;
	void *head = NULL;

	*ret = (struct registered){0};
	if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, tid, (void *)sizeof(rseq), &rseq) > 0) {
		ret->rseq = rseq.rseq_abi_pointer;
		ret->rseq_bytes = rseq.rseq_abi_size;
		ret->rseq_signature = rseq.signature;
	}
	if (syscall(SYS_get_robust_list, tid, &head, &bytes) == 0) {
		ret->robust_list = (uintptr_t)head;
		ret->robust_bytes = bytes;
	}
}

static bool has_same_rseq(const struct registered *a, const struct registered *b)
{
	return a->rseq == b->rseq && (!a->rseq || (a->rseq_bytes == b->rseq_bytes &&
						   a->rseq_signature == b->rseq_signature));
}

static bool has_same_signal_stack(const struct registered *a, const struct registered *b)
{
	return !a->knows_rest || !b->knows_rest ||
	       (!a->signal_stack_bytes && !b->signal_stack_bytes) ||
	       (a->signal_stack == b->signal_stack &&
		a->signal_stack_bytes == b->signal_stack_bytes &&
		a->signal_stack_flags == b->signal_stack_flags);
}

static bool has_same_tid_address(const struct registered *a, const struct registered *b)
{
	return !a->knows_rest || !b->knows_rest || a->tid_address == b->tid_address;
}

bool registered__is_same(const struct registered *a, const struct registered *b)
{
	return has_same_rseq(a, b) && a->robust_list == b->robust_list &&
	       has_same_signal_stack(a, b) && has_same_tid_address(a, b);
}

int registered__take_away(struct inject *inject, const struct registered *now,
			  const struct registered *then)
{
	if (!now->rseq || has_same_rseq(now, then))
		return 0;
	return inject__checked_call(inject, NULL, SYS_rseq, now->rseq, now->rseq_bytes,
				    RSEQ_FLAG_UNREGISTER, now->rseq_signature, 0);
}

/* The kernel reads it from a page that is mapped for that. */
static int put_signal_stack(struct inject *inject, struct memory *memory,
			    const struct registered *then)
{
	const int flags = then->signal_stack_bytes ? (int)then->signal_stack_flags : SS_DISABLE;
	const stack_t stack = {.ss_sp = (void *)(uintptr_t)then->signal_stack,
			       .ss_size = then->signal_stack_bytes,
			       .ss_flags = flags};
	int64_t page = 0;
	int err =
		inject__checked_call(inject, &page, SYS_mmap, 0, PAGE_BYTES, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, UINT64_MAX);

	if (err)
		return err;
	err = memory__write(memory, (uint64_t)page, &stack, sizeof(stack));
	if (!err)
		err = inject__checked_call(inject, NULL, SYS_sigaltstack, (uint64_t)page, 0, 0, 0,
					   0);
	(void)inject__checked_call(inject, NULL, SYS_munmap, (uint64_t)page, PAGE_BYTES, 0, 0, 0);
	return err;
}

int registered__put_back(struct inject *inject, struct memory *memory, const struct registered *now,
			 const struct registered *then)
{
	const struct {
		bool is_due;
		long number;
		uint64_t arguments[4];
	} calls[] = {
		{then->rseq && !has_same_rseq(now, then),
		 SYS_rseq,
		 {then->rseq, then->rseq_bytes, 0, then->rseq_signature}},
		{now->robust_list != then->robust_list,
		 SYS_set_robust_list,
		 {then->robust_list, sizeof(struct robust_list_head)}},
		{!has_same_tid_address(now, then), SYS_set_tid_address, {then->tid_address}},
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		const uint64_t *a = calls[i].arguments;
		int err = calls[i].is_due ? inject__checked_call(inject, NULL, calls[i].number,
								 a[0], a[1], a[2], a[3], 0)
					  : 0;

		if (err)
			return err;
	}
	return has_same_signal_stack(now, then) ? 0 : put_signal_stack(inject, memory, then);
}
