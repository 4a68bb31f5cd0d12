/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A child that another process lets make system calls, and what it shares with the test. It has a
 * page that is mapped nowhere else, handlers, and a signal mask, which must stay as they are.
 */
#ifndef UNIT_INJECTED_CHILD_H
#define UNIT_INJECTED_CHILD_H

#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "base/page.h"
#include "child.h"
#include "tap.h"

enum { ROUNDS = 23, THREADS = 7 };

static struct shared { /* with the child */
	volatile __u64 begun, ended, handled, counts[THREADS];
	volatile int64_t result;
	volatile int error;
	volatile int futex, stop;
	volatile pid_t other;
	uint64_t mask_before, mask_after;
	uint64_t page; /* that the child has mapped */
} * shared;

/* Maps the memory that is shared. */
static inline void share(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	must(shared == MAP_FAILED);
}

static inline void note_signal(int number)
{
	(void)number;
	shared->handled++;
}

static inline void handle(int number)
{
	const struct sigaction action = {.sa_handler = note_signal};

	must(sigaction(number, &action, NULL));
}

static inline void prepare(void)
{
	void *page =
		mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	sigset_t set;

	must(page == MAP_FAILED);
	shared->page = (uintptr_t)page;
	handle(SIGUSR1);
	handle(SIGTRAP);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR2);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

static inline void count_for_ever(void)
{
	prepare();
	shared->begun++;
	for (;;)
		shared->counts[0]++;
}

/* Starts a child, and waits until it has prepared itself. */
static inline pid_t start(void (*work)(void))
{
	pid_t child;

	memset(shared, 0, sizeof(*shared));
	child = child__start(work);
	must(child < 0 || !child__wait_count(&shared->begun, 1));
	return child;
}

/* Does a child that counts go on? */
static inline bool runs(void)
{
	return child__wait_count(&shared->counts[0], shared->counts[0] + 1);
}

/* Is it a userfaultfd of the memory of the child? Its page is mapped nowhere else. */
static inline bool is_of_child(int uffd)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register page = {.range = {.start = shared->page, .len = PAGE_BYTES},
				       .mode = UFFDIO_REGISTER_MODE_MISSING};

	return uffd >= 0 && ioctl(uffd, UFFDIO_API, &api) == 0 &&
	       ioctl(uffd, UFFDIO_REGISTER, &page) == 0;
}

#endif
