/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of threads: the lists of this process, read from /proc, and made-up ones.
 */
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "target/threads.h"
#include "tap.h"

enum { MANY = 7 };

static volatile int go, running;

static void *run(void *argument)
{
	(void)prctl(PR_SET_NAME, "a) b (c");
	__atomic_add_fetch(&running, 1, __ATOMIC_SEQ_CST);
	while (!go)
		sched_yield();
	return argument;
}

static void *nothing(void *argument)
{
	return argument;
}

static void test_own(void)
{
	struct threads alone = {0}, one = {0}, two = {0}, again = {0};
	char text[200];
	pthread_t thread;

	tap__ok(threads__alone(getpid(), &alone) == 0 && threads__read(getpid(), &one) == 0 &&
			threads__are_same(&alone, &one, text, sizeof(text)) && !*text,
		"one thread: the list need not be read");
	(void)pthread_create(&thread, NULL, run, NULL);
	while (!running)
		sched_yield();
	(void)threads__read(getpid(), &two);
	(void)threads__read(getpid(), &again);
	tap__ok(two.count == 2 && threads__are_same(&two, &again, text, sizeof(text)),
		"two threads, and still two");
	tap__ok(!threads__are_same(&one, &two, text, sizeof(text)) && strstr(text, "started: ") &&
			strstr(text, " (a) b (c)") && !strstr(text, "ended"),
		"one has started, whatever its name");
	tap__ok(!threads__are_same(&two, &one, text, sizeof(text)) && strstr(text, "ended: ") &&
			!strstr(text, "started"),
		"one has ended");
	go = 1;
	(void)pthread_join(thread, NULL);
	threads__clear(&again);
	tap__ok(threads__read(getpid(), &again) == 0 &&
			threads__are_same(&one, &again, text, sizeof(text)),
		"a thread that was joined does not count, although the kernel may still end it");
	threads__clear(&alone);
	threads__clear(&one);
	threads__clear(&two);
	threads__clear(&again);
	threads__clear(&again);
}

/* Joined threads take a while to end. */
static void test_joined(void)
{
	struct threads first = {0}, now = {0};
	char text[200];
	pthread_t thread;
	int different = 0;

	(void)threads__alone(getpid(), &first);
	for (int i = 0; i < 203; i++) {
		(void)pthread_create(&thread, NULL, nothing, NULL);
		(void)pthread_join(thread, NULL);
		(void)threads__read(getpid(), &now);
		different += !threads__are_same(&first, &now, text, sizeof(text));
		threads__clear(&now);
	}
	threads__clear(&first);
	tap__equal(different, 0, "none of 203 joined threads counts");
}

static void test_made_up(void)
{
	struct thread before[MANY], after[MANY], first = {.tid = 1, .name = "first"};
	struct threads old = {before, MANY}, new = {after, MANY}, single = {&first, 1};
	char text[200], small[20];

	for (int i = 0; i < MANY; i++)
		before[i] = after[i] = (struct thread){.tid = 23 + i, .start = 5, .name = "it"};
	tap__ok(threads__are_same(&old, &new, text, sizeof(text)), "the same");
	after[3].start = 6;
	tap__ok(!threads__are_same(&old, &new, text, sizeof(text)) &&
			!strcmp(text, "started: 26 (it); ended: 26 (it)"),
		"another thread with the same id");
	tap__ok(!threads__are_same(&single, &old, text, sizeof(text)) &&
			!strcmp(text, "started: 23 (it), 24 (it), 25 (it), 26 (it) and 3 more; "
				      "ended: 1 (first)"),
		"many: four are named");
	tap__ok(!threads__are_same(&single, &old, small, sizeof(small)) &&
			strlen(small) == sizeof(small) - 1,
		"a text that is too long is cut");
	tap__equal(threads__read(0x7ffffff0, &single), -ESRCH, "no such process");
	tap__ok(single.items == &first, "and what was there is untouched");
}

int main(void)
{
	tap__plan(12);
	test_own();
	test_joined();
	test_made_up();
	return tap__done();
}
