/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See second_thread.h.
 *
 * Work is offered while it is open. The second thread says that it is busy before it looks whether
 * there is work. The first one closes the work before it looks whether the second is busy. So the
 * second finds nothing, or the first waits for it.
 */
#include "store/second_thread.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/clock.h"

enum { AWAKE_NS = 1000000 };

struct second_thread {
	pthread_t id;
	cpu_set_t processors;
	int avoided; /* the processor of the first thread; -1: none yet */
	sem_t wakes;
	atomic_bool sleeps, ends;
	/* ---- the work ---- */
	atomic_bool is_open, is_busy;
	second_thread_part *do_part;
	void *argument;
	size_t count;
	atomic_size_t next; /* the first part that nobody has begun */
};

static bool do_parts(struct second_thread *second, unsigned int thread)
{
	bool any = false;
	size_t part;

	while ((part = second->next++) < second->count) {
		second->do_part(second->argument, part, thread);
		any = true;
	}
	return any;
}

/* Looks for work once. Returns whether there was any. */
static bool help(struct second_thread *second)
{
	bool any = false;

	second->is_busy = true;
	if (second->is_open)
		any = do_parts(second, 1);
	second->is_busy = false;
	return any;
}

static void *run(void *argument)
{
	struct second_thread *second = argument;

	for (;;) {
		uint64_t end_ns;

		second->sleeps = true;
		while (sem_wait(&second->wakes) && errno == EINTR)
			;
		second->sleeps = false;
		if (second->ends)
			return NULL;
		end_ns = clock__now_ns() + AWAKE_NS;
		while (!help(second) && clock__now_ns() < end_ns)
			(void)sched_yield(); /* the first thread may need this processor */
	}
}

int second_thread__start(struct second_thread **ret_second)
{
	struct second_thread *second = NULL;
	sigset_t all, before;
	cpu_set_t processors;
	int err;

	if (sched_getaffinity(0, sizeof(processors), &processors) || CPU_COUNT(&processors) < 2)
		return -ENODEV;
	second = calloc(1, sizeof(*second));
	if (!second)
		return -ENOMEM;
	second->processors = processors;
	second->avoided = -1;
	(void)sem_init(&second->wakes, 0, 0);
	(void)sigfillset(&all);
	err = pthread_sigmask(SIG_SETMASK, &all, &before);
	if (err)
		goto out;
	err = pthread_create(&second->id, NULL, run, second);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err)
		goto out;
	*ret_second = second;
	second = NULL;
out:
	free(second);
	return -err;
}

/* The kernel likes to wake it where the first thread runs, which would then have to wait. */
static void avoid_processor(struct second_thread *second, int processor)
{
	cpu_set_t others = second->processors;

	if (processor < 0 || processor == second->avoided)
		return;
	CPU_CLR((size_t)processor, &others);
	if (CPU_COUNT(&others) && !pthread_setaffinity_np(second->id, sizeof(others), &others))
		second->avoided = processor;
}

void second_thread__wake(struct second_thread *second)
{
	if (!second || !atomic_exchange(&second->sleeps, false))
		return;
	avoid_processor(second, sched_getcpu());
	(void)sem_post(&second->wakes);
}

void second_thread__share(struct second_thread *second, size_t count, second_thread_part *do_part,
			  void *argument)
{
	if (!second) {
		for (size_t part = 0; part < count; part++)
			do_part(argument, part, 0);
		return;
	}
	second->do_part = do_part;
	second->argument = argument;
	second->count = count;
	second->next = 0;
	second->is_open = true;
	second_thread__wake(second);
	(void)do_parts(second, 0);
	second->is_open = false;
	for (unsigned int looks = 1; second->is_busy; looks++)
		if (looks % 128)
			__builtin_ia32_pause();
		else
			(void)sched_yield(); /* it may need our processor */
}

void second_thread__stop(struct second_thread *second)
{
	if (!second)
		return;
	second->ends = true;
	(void)sem_post(&second->wakes);
	(void)pthread_join(second->id, NULL);
	(void)sem_destroy(&second->wakes);
	free(second);
}
