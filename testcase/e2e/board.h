/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What attached.c and rollback.c share: a shared mapping of a file, which no rollback changes.
 */
#ifndef E2E_BOARD_H
#define E2E_BOARD_H

#include <stdint.h>

enum { BOARD_THREADS = 31 };

struct board {
	volatile uint32_t ready;                /* threads that have begun */
	volatile uint32_t go;                   /* since when threads may come and go */
	volatile uint32_t futex;                /* that one of them waits for */
	volatile uint64_t steps[BOARD_THREADS]; /* that each has made */
	volatile uint32_t interrupted;          /* epoll_wait(2) calls that ended with EINTR */
	volatile uint32_t broken;               /* invariants that did not hold */
	char what[256];                         /* the first of them */
};

#endif
