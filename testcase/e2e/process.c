/* SPDX-License-Identifier: BSD-2-Clause
 *
 * process SCENE: targets that are more than one buffer: they fork, start threads, run other
 * programs, allocate. `process list` names the scenes.
 * Exit status: 0 right, 1 memory is wrong, 2 it could not run, 77 this machine cannot do it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "scene.h"

enum { BYTES = 23 * PAGE, ROUNDS = 23, CHILD_TIMEOUT_MS = 1000 };

/* Not rolled back: they have first values, so they are data, and --regions does not name it. */
static volatile int go = 1, quit = 2;

static int end_of(pid_t child)
{
	int status = -1;

	if (waitpid(child, &status, 0) != child)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* After the fork, both share all pages until one writes: the restore must not reach the child. */
static void fork_once(void)
{
	unsigned char *memory = map_alone(BYTES);
	int to_child[2], status;
	char byte = 0;
	pid_t child;

	fill(memory, BYTES, 1);
	save();
	fill(memory, BYTES, 2);
	if (pipe(to_child))
		finish(CHECK_BROKEN, "pipe: %m\n");
	child = fork();
	if (!child) {
		if (read(to_child[0], &byte, 1) != 1)
			_exit(CHECK_BROKEN);
		expect(memory, BYTES, 2, "child");
		_exit(CHECK_OK);
	}
	restore();
	expect(memory, BYTES, 1, "parent");
	if (write(to_child[1], &byte, 1) != 1)
		finish(CHECK_BROKEN, "write: %m\n");
	status = end_of(child);
	if (status)
		finish(CHECK_WRONG, "the child ended with %d\n", status);
}

/* A child is not the target: nobody answers it, and the parent's snapshot stays as it is. */
static void child_asks(void)
{
	unsigned char *memory = map_alone(BYTES);
	pid_t child;
	int status;

	fill(memory, BYTES, 1);
	save();
	child = fork();
	if (!child) {
		fill(memory, BYTES, 2);
		status = client__save(CHILD_TIMEOUT_MS);
		if (status != -ETIMEDOUT)
			finish(CHECK_WRONG, "the child's save: %d\n", status);
		status = client__restore(CHILD_TIMEOUT_MS);
		if (status != -ETIMEDOUT)
			finish(CHECK_WRONG, "the child's restore: %d\n", status);
		expect(memory, BYTES, 2, "child");
		_exit(CHECK_OK);
	}
	status = end_of(child);
	if (status)
		finish(CHECK_WRONG, "the child ended with %d\n", status);
	scramble(memory, BYTES);
	restore();
	expect(memory, BYTES, 1, "parent");
}

static void run_other(void)
{
	unsigned char *memory = map_alone(BYTES);

	fill(memory, BYTES, 1);
	save();
	fill(memory, BYTES, 2);
	if (system("/bin/true"))
		finish(CHECK_BROKEN, "system: no success\n");
	restore();
	expect(memory, BYTES, 1, "memory");
	if (system("exit 23") != 23 << 8)
		finish(CHECK_WRONG, "system: no status 23\n");
}

/* Allocates and frees blocks of all sizes; checks that what it was given is its own. */
static void allocate(uint64_t seed)
{
	enum { BLOCKS = 500 };
	unsigned char **blocks = calloc(BLOCKS, sizeof(*blocks));

	for (size_t i = 0; i < BLOCKS; i++) {
		size_t bytes = 1 + (size_t)byte_at(seed, i) * (i % 23 ? 17 : 999);

		blocks[i] = malloc(bytes);
		if (!blocks[i])
			finish(CHECK_BROKEN, "malloc: %m\n");
		memset(blocks[i], (int)i, bytes);
		if (i % 3 == 2) {
			free(blocks[i - 1]);
			blocks[i - 1] = NULL;
		}
	}
	for (size_t i = 0; i < BLOCKS; i++) {
		if (blocks[i] && *blocks[i] != (unsigned char)i)
			finish(CHECK_WRONG, "block %zu holds something else\n", i);
		if (seed % 2)
			free(blocks[i]);
	}
	if (seed % 2)
		free(blocks);
}

/* malloc's own records are rolled back with the blocks, or it hands out what is in use. */
static void allocating(void)
{
	unsigned char *kept = malloc(BYTES), *more;

	fill(kept, BYTES, 1);
	allocate(2);
	save();
	for (uint64_t i = 0; i < ROUNDS; i++) {
		allocate(i);
		fill(kept, BYTES, 3);
		restore();
		expect(kept, BYTES, 1, "kept block");
		more = malloc(BYTES);
		fill(more, BYTES, 4);
		expect(kept, BYTES, 1, "kept block after another was allocated");
	}
}

/* Slot after slot gets the number of the round. So at every instant no slot is greater than the one
 * before it, and first and last differ by 1 at most. */
struct slots {
	volatile uint64_t *at;
	size_t count, stride;
};

/* Data as well: how many threads have begun, and how many stand still, each plus 1. */
static volatile int begun = 1, parked = 1;

static void *write_slots(void *argument)
{
	const struct slots slots = *(struct slots *)argument;

	/* its stack is rolled back to a time after this */
	__atomic_add_fetch(&begun, 1, __ATOMIC_SEQ_CST);
	while (quit != 1) {
		uint64_t round = slots.at[(slots.count - 1) * slots.stride] + 1;

		for (size_t i = 0; i < slots.count; i++)
			slots.at[i * slots.stride] = round;
		if (go != 2)
			continue;
		__atomic_add_fetch(&parked, 1, __ATOMIC_SEQ_CST);
		while (go == 2)
			__builtin_ia32_pause();
		__atomic_sub_fetch(&parked, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static void expect_one_instant(const struct slots *slots)
{
	uint64_t first = slots->at[0], last = slots->at[(slots->count - 1) * slots->stride];

	for (size_t i = 1; i < slots->count; i++)
		if (slots->at[i * slots->stride] > slots->at[(i - 1) * slots->stride])
			finish(CHECK_WRONG, "slot %zu is newer than the one before\n", i);
	if (first - last > 1)
		finish(CHECK_WRONG, "slots are from %lu and %lu\n", (unsigned long)first,
		       (unsigned long)last);
}

static void threads(void)
{
	enum { THREADS = 3 };
	struct slots slots[THREADS];
	pthread_t ids[THREADS];

	for (int i = 0; i < THREADS; i++) {
		slots[i] = (struct slots){(void *)map_alone(BYTES), BYTES / 64, 8};
		if (pthread_create(&ids[i], NULL, write_slots, &slots[i]))
			finish(CHECK_BROKEN, "cannot create a thread\n");
	}
	while (begun != 1 + THREADS)
		sched_yield();
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < round; i++)
			sched_yield();
		save();
		go = 2;
		while (parked != 1 + THREADS)
			sched_yield();
		restore();
		for (int i = 0; i < THREADS; i++)
			expect_one_instant(&slots[i]);
		go = 1;
		while (parked != 1)
			sched_yield();
	}
	quit = 1;
	for (int i = 0; i < THREADS; i++)
		(void)pthread_join(ids[i], NULL);
}

static void *nothing(void *argument)
{
	return argument;
}

/* Threads come and go while the tracer stops those that there are. */
static void *start_threads(void *argument)
{
	pthread_t id;

	(void)argument;
	while (quit != 1)
		if (!pthread_create(&id, NULL, nothing, NULL))
			(void)pthread_join(id, NULL);
	return NULL;
}

static void thread_churn(void)
{
	unsigned char *memory = map_alone(BYTES);
	pthread_t id;

	if (pthread_create(&id, NULL, start_threads, NULL))
		finish(CHECK_BROKEN, "cannot create a thread\n");
	for (int round = 0; round < ROUNDS; round++) {
		fill(memory, BYTES, (uint64_t)round);
		save();
		expect(memory, BYTES, (uint64_t)round, "memory after a checkpoint");
	}
	quit = 1;
	(void)pthread_join(id, NULL);
	save();
	scramble(memory, BYTES);
	restore();
	expect(memory, BYTES, ROUNDS - 1, "memory");
}

static unsigned char *contested;

/* Maps and unmaps pages that another thread maps and unmaps at the same time. */
static void *contest(void *argument)
{
	uint64_t random = (uintptr_t)argument;

	while (quit != 1) {
		unsigned char *at;
		size_t bytes;

		random = random * 6364136223846793005 + 1442695040888963407;
		at = contested + (random >> 33) % 16 * PAGE;
		bytes = (1 + (random >> 40) % 16) * PAGE;
		if (random >> 63)
			(void)munmap(at, bytes);
		else
			(void)map_at(at, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED);
	}
	return NULL;
}

/* Whoever comes last, the saved pages are those that are mapped. */
static void contested_pages(void)
{
	enum { THREADS = 3, CHECKPOINTS = 101 };
	pthread_t ids[THREADS];

	contested = map_at(NULL, 32 * (size_t)PAGE, PROT_NONE, MAP_PRIVATE);
	for (uintptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&ids[i], NULL, contest, (void *)(i + 1)))
			finish(CHECK_BROKEN, "cannot create a thread\n");
	for (int i = 0; i < CHECKPOINTS; i++)
		save();
	quit = 1;
	for (int i = 0; i < THREADS; i++)
		(void)pthread_join(ids[i], NULL);
}

/* Its signal handlers run as before, also right after the tracer has held it. */
static volatile int ticks = 1;

static void on_tick(int number)
{
	(void)number;
	ticks++;
}

static void signals(void)
{
	const struct timespec interval = {.tv_nsec = 1000000};
	struct itimerspec spec = {interval, interval};
	unsigned char *memory = map_alone(BYTES);
	timer_t timer;

	(void)signal(SIGALRM, SIG_DFL);
	(void)signal(SIGUSR1, on_tick);
	if (timer_create(CLOCK_MONOTONIC,
			 &(struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1},
			 &timer) ||
	    timer_settime(timer, 0, &spec, NULL))
		finish(CHECK_BROKEN, "timer: %m\n");
	for (int round = 0; round < ROUNDS; round++) {
		fill(memory, BYTES, (uint64_t)round);
		save();
		scramble(memory, BYTES);
		restore();
		expect(memory, BYTES, (uint64_t)round, "memory");
	}
	for (int before = ticks; ticks == before;)
		;
}

/* A signal handler that maps and unmaps all the time. A copy of several polls may begin again for
 * each signal: it succeeds, or it ends with an error, but it ends. */
static void on_map_tick(int number)
{
	void *page;

	(void)number;
	/* a system call each, which is safe here. NOLINTBEGIN(bugprone-signal-handler) */
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	(void)munmap(page, PAGE);
	/* NOLINTEND(bugprone-signal-handler) */
}

static void mapping_signals(void)
{
	const struct timespec interval = {.tv_nsec = 500000};
	struct itimerspec spec = {interval, interval};
	const size_t bytes = 67UL << 20; /* five polls */
	unsigned char *memory = map_alone(bytes);
	timer_t timer;
	int err;

	(void)signal(SIGUSR1, on_map_tick);
	fill(memory, bytes, 1);
	if (timer_create(CLOCK_MONOTONIC,
			 &(struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1},
			 &timer) ||
	    timer_settime(timer, 0, &spec, NULL))
		finish(CHECK_BROKEN, "timer: %m\n");
	err = client__save(LIMIT_SECONDS * 1000);
	if (err != 0 && err != -EIO)
		finish(CHECK_WRONG, "save: %s\n", client__strerror(err));
	spec = (struct itimerspec){0};
	if (timer_settime(timer, 0, &spec, NULL))
		finish(CHECK_BROKEN, "timer: %m\n");
	expect(memory, bytes, 1, "memory");
	say("save: %d\n", err);
}

/* A process that shares the memory and is no thread maps a file over saved memory, and no hook sees
 * it. Nothing may be written into the file. */
static unsigned char *shared_place;

static int map_file_there(void *argument)
{
	return mmap(shared_place, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		    *(int *)argument, 0) == MAP_FAILED;
}

static void behind(void)
{
	static unsigned char stack[16 * PAGE] __attribute__((aligned(16)));
	int fd = memfd_create("file", MFD_CLOEXEC);
	pid_t child;

	shared_place = map_alone(BYTES);
	if (fd < 0 || ftruncate(fd, BYTES))
		finish(CHECK_BROKEN, "memfd_create: %m\n");
	fill(shared_place, BYTES, 1);
	save();
	child = clone(map_file_there, stack + sizeof(stack), CLONE_VM | SIGCHLD, &fd);
	if (child < 0 || end_of(child))
		finish(CHECK_BROKEN, "clone: %m\n");
	fill(shared_place, BYTES, 2);
	restore();
	expect(shared_place, BYTES, 2, "the file");
}

/* Starts a thread whose stack a restore does not touch: it may be anywhere in its code. */
static void start_untracked(void *(*run)(void *), void *argument)
{
	const size_t bytes = 64 * (size_t)PAGE;
	int fd = memfd_create("stack", MFD_CLOEXEC);
	pthread_attr_t attributes;
	pthread_t thread;
	void *stack;

	must(fd >= 0 && !ftruncate(fd, (off_t)bytes), "memfd_create");
	stack = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(stack != MAP_FAILED, "mmap");
	pthread_attr_init(&attributes);
	errno = pthread_attr_setstack(&attributes, stack, bytes);
	must(!errno, "pthread_attr_setstack");
	errno = pthread_create(&thread, &attributes, run, argument);
	must(!errno, "pthread_create");
	pthread_attr_destroy(&attributes);
}

/* A thread that serves page faults of registered memory stands still during an operation. An
 * operation that touches that memory would wait for it, so it is refused, and all is as before. */
static void *serve_faults(void *argument)
{
	int fd = *(int *)argument;
	struct uffd_msg message;
	static char zeros[PAGE] __attribute__((aligned(PAGE)));

	while (read(fd, &message, sizeof(message)) == sizeof(message)) {
		struct uffdio_copy copy = {
			.dst = message.arg.pagefault.address & ~(uint64_t)(PAGE - 1),
			.src = (uintptr_t)zeros,
			.len = PAGE,
		};

		if (ioctl(fd, UFFDIO_COPY, &copy))
			finish(CHECK_BROKEN, "UFFDIO_COPY: %m\n");
	}
	return NULL;
}

static void user_faults(void)
{
	unsigned char *memory = map_alone(BYTES);
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register all = {
		.range = {(uintptr_t)memory, BYTES},
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffdio_range range = {(uintptr_t)memory, BYTES};
	int err;

	if (fd < 0)
		finish(CHECK_SKIP, "no userfaultfd: %m\n");
	fill(memory, BYTES, 1);
	if (ioctl(fd, UFFDIO_API, &api))
		finish(CHECK_BROKEN, "userfaultfd: %m\n");
	start_untracked(serve_faults, &fd);
	save();
	if (ioctl(fd, UFFDIO_REGISTER, &all))
		finish(CHECK_BROKEN, "userfaultfd: %m\n");
	if (madvise(memory + PAGE, 5 * (size_t)PAGE, MADV_DONTNEED))
		finish(CHECK_BROKEN, "madvise: %m\n");
	err = client__restore(0);
	if (err != -EIO)
		finish(CHECK_WRONG, "a restore of registered memory: %s\n", client__strerror(err));
	expect(memory, PAGE, 1, "memory before the hole");
	if (memory[PAGE]) /* served by the thread */
		finish(CHECK_WRONG, "the hole was filled\n");
	if (ioctl(fd, UFFDIO_UNREGISTER, &range))
		finish(CHECK_BROKEN, "UFFDIO_UNREGISTER: %m\n");
	restore();
	expect(memory, BYTES, 1, "memory");
}

/* The kernel keeps the number of the processor in thread-local memory (rseq(2)), and writes it
 * only when it moves the thread: a restore must not bring back that of the checkpoint. */
static void run_on(int processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		finish(CHECK_SKIP, "no two processors: %m\n");
}

static void moved(void)
{
	unsigned char *memory = map_alone(BYTES);

	for (uint64_t round = 0; round < ROUNDS; round++) {
		unsigned int is, seems;

		fill(memory, BYTES, round);
		run_on((int)round % 2);
		save();
		scramble(memory, BYTES);
		run_on((int)(round + 1) % 2);
		restore();
		seems = (unsigned int)sched_getcpu();
		(void)syscall(SYS_getcpu, &is, NULL, NULL);
		if (is != seems)
			finish(CHECK_WRONG, "on processor %u, but it seems to be %u\n", is, seems);
		expect(memory, BYTES, round, "memory");
	}
}

/* Two restores in a row that have nothing to write, and one that has something after all. */
static void unchanged(void)
{
	unsigned char *memory = map_alone(BYTES);

	fill(memory, BYTES, 1);
	save();
	for (size_t round = 0; round < ROUNDS; round++) {
		restore();
		restore();
		memory[round * PAGE + round] ^= 1;
		restore();
		expect(memory, BYTES, 1, "memory");
	}
}

static const struct scene scenes[] = {
	{"fork", fork_once},
	{"child-asks", child_asks},
	{"run-other", run_other},
	{"allocating", allocating},
	{"threads", threads},
	{"thread-churn", thread_churn},
	{"contested-pages", contested_pages},
	{"signals", signals},
	{"behind", behind},
	{"mapping-signals", mapping_signals},
	{"user-faults", user_faults},
	{"moved", moved},
	{"unchanged", unchanged},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return play_scenes(scenes, argc, argv);
}
