/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See helper.h.
 */
#include "target/helper.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { STACK_BYTES = 1 << 20 };

struct order {
	int (*work)(void *argument);
	void *argument;
	int result;
};

static int begin(void *argument)
{
	struct order *order = argument;

	order->result = order->work(order->argument);
	return 0;
}

int helper__run(int (*work)(void *argument), void *argument)
{
	struct order order = {.work = work, .argument = argument, .result = -EINTR};
	sigset_t all, mask;
	char *stack;
	int process;

	stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack == MAP_FAILED)
		return -ENOMEM;
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, &mask);
	process = clone(begin, stack + STACK_BYTES, CLONE_VM | CLONE_FILES | CLONE_VFORK, &order);
	if (process < 0)
		order.result = -errno;
	else
		(void)waitpid(process, NULL, __WALL);
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
	(void)munmap(stack, STACK_BYTES);
	return order.result;
}
