/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See turn.h.
 */
#include "forkserver/turn.h"

#include <linux/futex.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/raw_syscall.h"

/* What a word holds before its child is born: no thread has this number. */
#define UNBORN FUTEX_TID_MASK

_Static_assert(offsetof(struct turn, next) == 32, "struct pthread_mutex_t of glibc, x86-64");

static void sleep_while(const uint32_t *word, uint32_t value, const struct timespec *limit)
{
	(void)raw_syscall__call(SYS_futex, (uint64_t)word, FUTEX_WAIT, value, (uint64_t)limit);
}

/* Sets the word, and wakes the side that sleeps. */
static void change(struct turn *turn, uint32_t value)
{
	uint32_t old = __atomic_exchange_n(&turn->word, value, __ATOMIC_SEQ_CST);

	if (old & FUTEX_WAITERS)
		(void)raw_syscall__call(SYS_futex, (uint64_t)&turn->word, FUTEX_WAKE, 1, 0);
}

/* Waits for another value than this one, with a mark for the other side if it has to sleep. */
static void wait_for_other(struct turn *turn, uint32_t value, unsigned int spins,
			   const struct timespec *limit)
{
	for (; spins > 0; spins--) {
		if (__atomic_load_n(&turn->word, __ATOMIC_ACQUIRE) != value)
			return;
		__builtin_ia32_pause();
	}
	if (value & FUTEX_WAITERS ||
	    __atomic_compare_exchange_n(&turn->word, &value, value | FUTEX_WAITERS, false,
					__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		sleep_while(&turn->word, value | FUTEX_WAITERS, limit);
}

void turn__begin(struct turn *turn)
{
	turn->word = UNBORN;
}

void turn__adopt(struct turn *turn, pid_t thread)
{
	struct robust_list_head *head = NULL;
	size_t bytes;

	turn__take(turn, thread);
	if (raw_syscall__call(SYS_get_robust_list, 0, (uint64_t)&head, (uint64_t)&bytes, 0) != 0 ||
	    !head ||
	    head->futex_offset !=
		    (long)offsetof(struct turn, word) - (long)offsetof(struct turn, next))
		return;
	turn->next = head->list.next;
	head->list.next = (struct robust_list *)&turn->next;
}

void turn__take(struct turn *turn, pid_t thread)
{
	uint32_t word = __atomic_load_n(&turn->word, __ATOMIC_RELAXED);

	/* The server may have begun to wait for a child that is just born. */
	while (!__atomic_compare_exchange_n(&turn->word, &word,
					    (uint32_t)thread | (word & FUTEX_WAITERS), false,
					    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
}

void turn__pass(struct turn *turn)
{
	change(turn, 0);
}

void turn__await(struct turn *turn, unsigned int spins)
{
	uint32_t word;

	while ((word = __atomic_load_n(&turn->word, __ATOMIC_ACQUIRE), !(word & FUTEX_TID_MASK))) {
		wait_for_other(turn, word, spins, NULL);
		spins = 0;
	}
}

void turn__give(struct turn *turn, pid_t thread)
{
	change(turn, (uint32_t)thread);
}

enum turn_state turn__look(struct turn *turn, unsigned int spins, int ms)
{
	const struct timespec limit = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
	uint32_t word = __atomic_load_n(&turn->word, __ATOMIC_ACQUIRE);

	if (ms > 0 && word & FUTEX_TID_MASK) {
		wait_for_other(turn, word, spins, &limit);
		word = __atomic_load_n(&turn->word, __ATOMIC_ACQUIRE);
	}
	if (word & FUTEX_OWNER_DIED)
		return TURN_DEAD;
	return word & FUTEX_TID_MASK ? TURN_CHILD : TURN_SERVER;
}
