/* SPDX-License-Identifier: BSD-2-Clause
 *
 * refused SCENE: targets that a copy of memory alone would break: their threads are not those of
 * the checkpoint, or they ask on a stack that would be rolled back under them. They are refused
 * before a byte is written, and go on. `refused list` names the scenes; exit status: that of
 * check.h.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include "scene.h"

enum { BYTES = 23 * PAGE, STACK_BYTES = 64 << 10, LATER = 7 };

/* Data, which is not rolled back: by default --regions does not name it. */
static volatile int go = 1, running = 1;

static void *run_until_told(void *argument)
{
	__atomic_add_fetch(&running, 1, __ATOMIC_SEQ_CST);
	while (go == 1)
		sched_yield();
	return argument;
}

static void *nothing(void *argument)
{
	return argument;
}

static pthread_t start(void *(*run)(void *))
{
	int before = running;
	pthread_t thread;

	errno = pthread_create(&thread, NULL, run, NULL);
	must(!errno, "pthread_create");
	while (run == run_until_told && running == before)
		sched_yield();
	return thread;
}

static void end(pthread_t thread)
{
	go = 2;
	errno = pthread_join(thread, NULL);
	must(!errno, "pthread_join");
	go = 1;
}

/* The C library's lists of threads and stacks are whole if new threads can come and go. */
static void expect_threads_work(void)
{
	pthread_t threads[LATER];

	for (int round = 0; round < LATER; round++) {
		for (int i = 0; i < LATER; i++)
			threads[i] = start(nothing);
		for (int i = 0; i < LATER; i++)
			end(threads[i]);
	}
}

static void expect_refused(int err, const char *what)
{
	if (err != -EIO)
		finish(CHECK_WRONG, "%s: %d, not refused\n", what, err);
}

/* Memory stays as it is, and a new checkpoint can be restored. */
static void expect_all_is_well(unsigned char *memory)
{
	expect(memory, BYTES, 2, "memory after the refusal");
	expect_threads_work();
	save();
	fill(memory, BYTES, 3);
	restore();
	expect(memory, BYTES, 2, "memory after another checkpoint");
	expect_threads_work();
}

static void thread_started(void)
{
	unsigned char *memory = map_alone(BYTES);
	pthread_t thread;

	fill(memory, BYTES, 1);
	save();
	fill(memory, BYTES, 2);
	thread = start(run_until_told);
	expect_refused(client__restore(0), "a thread has started");
	end(thread);
	expect_all_is_well(memory);
}

static void thread_ended(void)
{
	unsigned char *memory = map_alone(BYTES);
	pthread_t thread = start(run_until_told);

	fill(memory, BYTES, 1);
	save();
	fill(memory, BYTES, 2);
	end(thread);
	expect_refused(client__restore(0), "a thread has ended");
	expect_all_is_well(memory);
}

/* As many as before, but another one. */
static void thread_replaced(void)
{
	unsigned char *memory = map_alone(BYTES);
	pthread_t thread = start(run_until_told);

	fill(memory, BYTES, 1);
	save();
	fill(memory, BYTES, 2);
	end(thread);
	thread = start(run_until_told);
	expect_refused(client__restore(0), "a thread has been replaced");
	end(thread);
	expect_all_is_well(memory);
}

/* Threads that come and go in between do no harm. Nor does a joined thread that the kernel has not
 * ended yet. */
static void threads_between(void)
{
	unsigned char *memory = map_alone(BYTES);

	for (uint64_t round = 0; round < LATER; round++) {
		fill(memory, BYTES, round);
		end(start(nothing));
		save();
		scramble(memory, BYTES);
		end(start(nothing));
		restore();
		expect(memory, BYTES, round, "memory");
		expect_threads_work();
	}
}

/* ---- stacks ---- */

static ucontext_t home, other;
static unsigned char *kept; /* memory of the scene that asks on another stack */
static int results[2];

static void ask(void)
{
	results[0] = client__save(0);
	fill(kept, BYTES, 2);
	results[1] = client__restore(0);
	if (!results[1])
		results[0] = 0;
}

static void ask_on(void *stack)
{
	must(!getcontext(&other), "getcontext");
	other.uc_stack.ss_sp = stack;
	other.uc_stack.ss_size = STACK_BYTES;
	other.uc_link = &home;
	makecontext(&other, ask, 0);
	must(!swapcontext(&home, &other), "swapcontext");
}

static void coroutine(void)
{
	void *stack = malloc(STACK_BYTES);

	kept = map_alone(BYTES);
	fill(kept, BYTES, 1);
	ask_on(stack);
	expect_refused(results[0], "a checkpoint on a stack in the heap");
	expect_refused(results[1], "a restore on a stack in the heap");
	expect_all_is_well(kept);
}

static void coroutine_untracked(void)
{
	int fd = memfd_create("stack", MFD_CLOEXEC);
	void *stack;

	must(fd >= 0 && !ftruncate(fd, STACK_BYTES), "memfd_create");
	stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(stack != MAP_FAILED, "mmap");
	kept = map_alone(BYTES);
	fill(kept, BYTES, 1);
	ask_on(stack);
	if (results[0] || results[1])
		finish(CHECK_WRONG, "save: %d, restore: %d\n", results[0], results[1]);
	expect(kept, BYTES, 1, "memory");
}

static void *ask_in_thread(void *argument)
{
	ask();
	return argument;
}

static void other_thread(void)
{
	kept = map_alone(BYTES);
	fill(kept, BYTES, 1);
	end(start(ask_in_thread));
	expect_refused(results[0], "a checkpoint from another thread");
	expect_refused(results[1], "a restore from another thread");
	expect_all_is_well(kept);
}

/* Without its first thread a process has no memory in /proc/PID. */
static void *ask_alone(void *argument)
{
	char state = 'R';

	while (state != 'Z') {
		FILE *file = fopen("/proc/self/stat", "r");

		must(file && fscanf(file, "%*d (%*[^)]) %c", &state) == 1, "/proc/self/stat");
		(void)fclose(file);
	}
	ask();
	expect_refused(results[0], "a checkpoint without the first thread");
	expect_refused(results[1], "a restore without the first thread");
	say("first-ended: ok\n");
	exit(CHECK_OK);
	return argument;
}

static void first_ended(void)
{
	kept = map_alone(BYTES);
	fill(kept, BYTES, 1);
	(void)start(ask_alone);
	pthread_exit(NULL);
}

/* Private pages beyond the end of their file: reading them ends in SIGBUS. */
static void beyond_file(void)
{
	const size_t bytes = (size_t)256 * PAGE;
	int fd = memfd_create("file", MFD_CLOEXEC);

	must(fd >= 0 && !ftruncate(fd, PAGE + 1), "memfd_create");
	must(mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) != MAP_FAILED, "mmap");
	expect_refused(client__save(0), "a checkpoint of pages beyond the end of a file");
}

static const struct scene scenes[] = {
	{"beyond-file", beyond_file},
	{"first-ended", first_ended},
	{"thread-started", thread_started},
	{"thread-ended", thread_ended},
	{"thread-replaced", thread_replaced},
	{"threads-between", threads_between},
	{"coroutine", coroutine},
	{"coroutine-untracked", coroutine_untracked},
	{"other-thread", other_thread},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return play_scenes(scenes, argc, argv);
}
