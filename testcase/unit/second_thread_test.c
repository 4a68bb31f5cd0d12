/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of second_thread: each part is done once, by whoever comes first.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

#include "store/second_thread.h"
#include "random.h"
#include "tap.h"

enum { PARTS = 101, ROUNDS = 2003 };

static atomic_uint done[PARTS];
static atomic_uint by_second, present;

static void count_part(void *argument, size_t part, unsigned int thread)
{
	must(argument != done);
	done[part]++;
	by_second += thread;
}

/* Waits until both threads are here. */
static void meet(void *argument, size_t part, unsigned int thread)
{
	(void)argument;
	(void)part;
	by_second += thread;
	present++;
	while (present % 2)
		(void)sched_yield();
}

/* Are so many parts done once, and the others not at all? */
static bool are_done(size_t count)
{
	bool result = true;

	for (size_t part = 0; part < PARTS; part++)
		result &= atomic_exchange(&done[part], 0) == (part < count);
	return result;
}

static void test_alone(void)
{
	second_thread__wake(NULL);
	second_thread__share(NULL, 7, count_part, done);
	tap__ok(are_done(7) && by_second == 0, "without a second thread");
	second_thread__stop(NULL);
}

static void test_shared(struct second_thread *second)
{
	unsigned int wrong = 0;

	for (unsigned int round = 0; round < ROUNDS; round++) {
		const size_t count = random__below(PARTS + 1);

		if (random__below(3))
			second_thread__wake(second);
		if (random__below(11) == 0)
			(void)usleep((unsigned int)random__below(2000)); /* it may sleep again */
		second_thread__share(second, count, count_part, done);
		wrong += !are_done(count);
	}
	tap__equal(wrong, 0, "each part is done once, and all are when the call returns");
	tap__note("%u parts by the second thread", by_second);
	by_second = 0;
	second_thread__share(second, 2, meet, NULL);
	tap__equal(by_second, 1, "both take part");
}

int main(int argc, char **argv)
{
	struct second_thread *second = NULL;
	int err;

	random__seed(random__seed_of(argc, argv, 23));
	tap__plan(4);
	test_alone();
	err = second_thread__start(&second);
	if (err == -ENODEV) {
		tap__skip(3, "there is one processor");
		return tap__done();
	}
	tap__equal(err, 0, "it starts");
	test_shared(second);
	second_thread__stop(second);
	return tap__done();
}
