/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See signals.h.
 */
#include "rollback/signals.h"

#include <signal.h>
#include <string.h>

#include "base/raw_syscall.h"

enum {
	MASK_BYTES = 8,
	HANDLER_IGNORE = 1, /* SIG_IGN; SIG_DFL is 0 */
};

uint64_t signals__block(void)
{
	const uint64_t all = UINT64_MAX;
	uint64_t mask = 0;

	(void)raw_syscall__call(SYS_rt_sigprocmask, SIG_SETMASK, (uintptr_t)&all, (uintptr_t)&mask,
				MASK_BYTES);
	return mask;
}

void signals__set_mask(uint64_t mask)
{
	(void)raw_syscall__call(SYS_rt_sigprocmask, SIG_SETMASK, (uintptr_t)&mask, 0, MASK_BYTES);
}

int signals__set(int number, const struct signal_action *action, struct signal_action *old)
{
	return (int)raw_syscall__call(SYS_rt_sigaction, (uint64_t)number, (uintptr_t)action,
				      (uintptr_t)old, MASK_BYTES);
}

static bool can_be_set(int number)
{
	return number != SIGKILL && number != SIGSTOP;
}

void signals__save(struct rollback *r)
{
	(void)raw_syscall__call(SYS_sigaltstack, 0, (uintptr_t)&r->alternate_stack, 0, 0);
	for (int number = 1; number <= CHECKPOINT_SIGNALS; number++)
		if (can_be_set(number) && signals__set(number, NULL, &r->actions[number - 1]) == 0)
			r->has_handlers |= r->actions[number - 1].handler > HANDLER_IGNORE;
}

void signals__restore(const struct rollback *r)
{
	if (checkpoint__is_fixed(r->flags))
		return;
	(void)raw_syscall__call(SYS_sigaltstack, (uintptr_t)&r->alternate_stack, 0, 0, 0);
	if (r->flags & ROLLBACK_FIXED_SIGNALS)
		return;
	for (int number = 1; number <= CHECKPOINT_SIGNALS; number++) {
		const struct signal_action *then = &r->actions[number - 1];
		struct signal_action now;

		if (can_be_set(number) && signals__set(number, NULL, &now) == 0 &&
		    memcmp(&now, then, sizeof(now)) != 0)
			(void)signals__set(number, then, NULL);
	}
}
