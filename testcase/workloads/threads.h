/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Threads beside the one that asks. A restore rolls back the memory of all threads but no
 * registers. So these threads have stacks that it does not touch (a shared file), and remember
 * everything there or in the untracked board.
 */
#ifndef WORKLOADS_THREADS_H
#define WORKLOADS_THREADS_H

#include <pthread.h>
#include <sched.h>
#include "workload.h"

enum { STACK_BYTES = 256 << 10, BOARD_THREADS = 7 };

struct board {                      /* untracked */
	int phase;                  /* set by the main thread */
	int reached[BOARD_THREADS]; /* by each thread: the last phase that it has seen through */
	int checkpoints_begun, checkpoints_done;
	int ended; /* threads that are about to end */
	int wrong; /* what threads have found wrong */
	uint64_t rounds[BOARD_THREADS];
};

struct worker {
	struct board *board;
	void *stack;
	pthread_t thread;
	int number;
};

static inline int get(const int *value)
{
	return __atomic_load_n(value, __ATOMIC_SEQ_CST);
}

static inline void set(int *value, int to)
{
	__atomic_store_n(value, to, __ATOMIC_SEQ_CST);
}

static inline void wait_for(const int *value, int at_least)
{
	while (get(value) < at_least)
		sched_yield();
}

static inline void start_worker(struct worker *worker, void *(*run)(void *))
{
	pthread_attr_t attributes;

	if (!worker->stack)
		worker->stack = map_untracked(STACK_BYTES);
	pthread_attr_init(&attributes);
	errno = pthread_attr_setstack(&attributes, worker->stack, STACK_BYTES);
	must(!errno, "pthread_attr_setstack");
	errno = pthread_create(&worker->thread, &attributes, run, worker);
	must(!errno, "pthread_create");
	pthread_attr_destroy(&attributes);
}

/* Workers, in untracked memory, that share a board. */
static inline struct worker *start_workers(int count, void *(*run)(void *))
{
	struct board *board = map_untracked(PAGE);
	struct worker *workers = map_untracked(PAGE);

	for (int i = 0; i < count; i++) {
		workers[i].board = board;
		workers[i].number = i;
		start_worker(&workers[i], run);
	}
	return workers;
}

/* Begins a phase and waits until every worker has seen it through. */
static inline void phase(struct worker *workers, int count, int number)
{
	set(&workers->board->phase, number);
	for (int i = 0; i < count; i++)
		wait_for(&workers->board->reached[i], number);
}

static inline void join(struct worker *workers, int count)
{
	for (int i = 0; i < count; i++) {
		errno = pthread_join(workers[i].thread, NULL);
		must(!errno, "pthread_join");
	}
}

#endif
