/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See signal_actions.h.
 */
#include "forkserver/signal_actions.h"

#include <stddef.h>

#include "base/raw_syscall.h"

static void call(int number, const void *action, void *old)
{
	(void)raw_syscall__call(SYS_rt_sigaction, (uint64_t)number, (uint64_t)action, (uint64_t)old,
				sizeof(uint64_t));
}

void signal_actions__keep(struct signal_actions *actions)
{
	actions->changed = 0;
	for (int number = 1; number <= 64; number++)
		call(number, NULL, &actions->all[number - 1]);
}

void signal_actions__note(struct signal_actions *actions, int number)
{
	if (number >= 1 && number <= 64)
		(void)__atomic_fetch_or(&actions->changed, UINT64_C(1) << (number - 1),
					__ATOMIC_RELAXED);
}

void signal_actions__put_back(struct signal_actions *actions)
{
	for (; actions->changed; actions->changed &= actions->changed - 1) {
		const int number = __builtin_ctzll(actions->changed) + 1;

		call(number, &actions->all[number - 1], NULL);
	}
}
