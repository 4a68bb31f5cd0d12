/* SPDX-License-Identifier: BSD-2-Clause
 *
 * attached BOARD [small|large [BYTES]]: a process that others roll back, and that knows nothing of
 * them. Of its 31 threads some compute, with an invariant over all of these; some wait in system
 * calls that are hard to go back to; one changes mappings and the heap. Small: one thread, which
 * does the last, and BYTES more of memory, which it leaves alone. Large: it uses them, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "board.h"

enum {
	ACCOUNTS = 17,
	MONEY = 1000,     /* in each account at first */
	CHURN = 40 << 10, /* bytes */
	TWO_PAGES = 2 << 12,
	THREE_PAGES = 3 << 12,
	LARGE_BLOCK = 2 << 20, /* the reach of a page table */
};

static struct board *board;

static void broken(const char *what)
{
	if (!__atomic_fetch_add(&board->broken, 1, __ATOMIC_SEQ_CST))
		(void)strncpy(board->what, what, sizeof(board->what) - 1);
}

static void begin(void)
{
	(void)__atomic_fetch_add(&board->ready, 1, __ATOMIC_SEQ_CST);
}

static void nap(void)
{
	const struct timespec pause = {.tv_nsec = 100000};

	(void)nanosleep(&pause, NULL);
}

/* ---- threads that compute: money moves between accounts that lie on their stacks ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long *accounts[ACCOUNTS];

/* Floating-point registers are live across each step. */
static void *trade(void *argument)
{
	const unsigned int self = (unsigned int)(uintptr_t)argument;
	volatile long money = MONEY;
	double sum = 0;
	uint64_t steps = 0;

	accounts[self] = (long *)&money;
	begin();
	while (board->ready < BOARD_THREADS)
		nap();
	for (;;) {
		long total = 0;

		(void)pthread_mutex_lock(&lock);
		*accounts[self] -= 7;
		*accounts[(5UL * self + steps) % ACCOUNTS] += 7;
		for (unsigned int i = 0; i < ACCOUNTS; i++)
			total += *accounts[i];
		if (total != (long)ACCOUNTS * MONEY)
			broken("the money of all threads");
		(void)pthread_mutex_unlock(&lock);
		sum += 0.5;
		steps++;
		if (sum != (double)steps * 0.5)
			broken("floating-point registers");
		board->steps[self]++;
		nap();
	}
	return NULL;
}

/* ---- threads that wait ---- */

static int ends[2];

static void *wait_in_read(void *argument)
{
	char byte;

	(void)argument;
	begin();
	(void)!read(ends[0], &byte, 1);
	broken("read has ended");
	return NULL;
}

/* SIGCONT ends it, signal(7); a rollback must not. */
static void *wait_in_epoll(void *argument)
{
	struct epoll_event event = {.events = EPOLLIN};
	int fd = epoll_create1(EPOLL_CLOEXEC);

	(void)argument;
	(void)epoll_ctl(fd, EPOLL_CTL_ADD, ends[0], &event);
	begin();
	while (epoll_wait(fd, &event, 1, -1) < 0 && errno == EINTR)
		(void)__atomic_fetch_add(&board->interrupted, 1, __ATOMIC_SEQ_CST);
	broken("epoll_wait has ended");
	return NULL;
}

static void *wait_in_futex(void *argument)
{
	(void)argument;
	begin();
	(void)syscall(SYS_futex, &board->futex, FUTEX_WAIT, 0, NULL, NULL, 0);
	broken("futex has ended");
	return NULL;
}

/* After a rollback the kernel cannot resume the call: it returns EINTR. */
static void *wait_in_nanosleep(void *argument)
{
	const struct timespec hour = {.tv_sec = 3600};

	begin();
	for (;;) {
		if (!nanosleep(&hour, NULL) || errno != EINTR)
			broken("nanosleep");
		board->steps[(uintptr_t)argument]++;
	}
	return NULL;
}

static void *wait_in_poll(void *argument)
{
	struct pollfd in = {.fd = ends[0], .events = POLLIN};

	begin();
	for (;;) {
		if (poll(&in, 1, 3600000) != -1 || errno != EINTR)
			broken("poll");
		board->steps[(uintptr_t)argument]++;
	}
	return NULL;
}

static void *wait_in_wait4(void *argument)
{
	pid_t child = fork();

	(void)argument;
	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		begin();
		for (;;)
			(void)pause();
	}
	(void)waitpid(child, NULL, 0);
	broken("wait4 has ended");
	return NULL;
}

static void *wait_in_sigsuspend(void *argument)
{
	sigset_t none;

	(void)argument;
	(void)sigemptyset(&none);
	begin();
	(void)sigsuspend(&none);
	broken("sigsuspend has ended");
	return NULL;
}

/* For ever on its alternate stack. */
static void handle(int signal)
{
	volatile char mark[4096];

	(void)signal;
	memset((char *)mark, 0x5a, sizeof(mark));
	begin();
	for (uint64_t i = 0;; i++) {
		if (mark[i % sizeof(mark)] != 0x5a)
			broken("the alternate stack");
		board->steps[BOARD_THREADS - 2]++;
		nap();
	}
}

static void *handle_signal(void *argument)
{
	const struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK};
	stack_t stack = {.ss_size = 1 << 16};

	(void)argument;
	stack.ss_sp = malloc(stack.ss_size);
	(void)sigaltstack(&stack, NULL);
	(void)sigaction(SIGUSR2, &action, NULL);
	(void)pthread_kill(pthread_self(), SIGUSR2);
	return NULL;
}

/* ---- memory and threads that come and go ---- */

static void *end_at_once(void *argument)
{
	volatile char bytes[CHURN];

	memset((char *)bytes, 3, sizeof(bytes));
	for (unsigned int i = 0; i < (unsigned int)(uintptr_t)argument; i++)
		nap();
	return NULL;
}

static void start_threads(uint64_t step)
{
	pthread_t thread;

	if (!board->go || step % 7 ||
	    pthread_create(&thread, NULL, end_at_once, (void *)(uintptr_t)(step % 13)))
		return;
	(void)pthread_detach(thread);
}

struct churn {
	unsigned char *blocks[23], *mappings[23];
	size_t sizes[23];
	uint64_t step;
};

/* A block holds its number in each byte. */
static bool is_whole(const unsigned char *bytes, size_t size, unsigned char value)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != value)
			return false;
	return true;
}

static void churn_mapping(struct churn *churn, unsigned int i)
{
	unsigned char **mapping = &churn->mappings[i];

	if (*mapping) {
		if (!is_whole(*mapping, 4096, (unsigned char)i))
			broken("a mapping");
		(void)mprotect(*mapping, 4096, PROT_READ);
		(void)munmap(*mapping + churn->step % 2 * 4096, CHURN - 4096);
		*mapping = NULL;
		return;
	}
	*mapping = mmap(NULL, CHURN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (*mapping == MAP_FAILED)
		*mapping = NULL;
	else
		memset(*mapping, (int)i, TWO_PAGES);
}

/* Its file, opened once: a rollback between open(2) and close(2) would leave one open. */
static int program = -1;

/* A private mapping of it, written here and there. */
static void churn_file(const struct churn *churn)
{
	unsigned char *bytes =
		mmap(NULL, THREE_PAGES, PROT_READ | PROT_WRITE, MAP_PRIVATE, program, 0);

	if (bytes == MAP_FAILED)
		return;
	bytes[churn->step % THREE_PAGES]++;
	if (churn->step % 2)
		(void)munmap(bytes, THREE_PAGES);
}

static void churn_block(struct churn *churn, unsigned int i)
{
	unsigned char **block = &churn->blocks[i];

	if (*block && !is_whole(*block, churn->sizes[i], (unsigned char)i))
		broken("a block of the heap");
	free(*block);
	churn->sizes[i] = (churn->step * 7919) % 100003;
	*block = malloc(churn->sizes[i]);
	if (*block)
		memset(*block, (int)i, churn->sizes[i]);
}

/* Moves the end of the heap. With several threads malloc(3) would do so at the same time. */
static void churn_heap(const struct churn *churn)
{
	void *bytes = sbrk(CHURN);

	if (bytes == (void *)-1)
		return;
	memset(bytes, 5, CHURN);
	if (churn->step % 3)
		(void)sbrk(-CHURN);
}

static unsigned char *large; /* NULL: there is none */
static size_t large_bytes;

/* Writes here and there, and gives a block back, whose page table may go with it. */
static void churn_large(const struct churn *churn)
{
	const size_t at = churn->step * 7919 * 4096 % large_bytes;
	unsigned char *block = large + (at & ~(LARGE_BLOCK - 1UL));

	large[at]++;
	if (churn->step % 5 == 0)
		(void)madvise(block, LARGE_BLOCK, MADV_DONTNEED);
	if (churn->step % 31 == 0)
		(void)mmap(block, LARGE_BLOCK, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void churn_step(struct churn *churn)
{
	const unsigned int i = (unsigned int)(churn->step * 31 % 23);

	churn_block(churn, i);
	churn_mapping(churn, i);
	if (churn->step % 11 == 0)
		churn_file(churn);
	if (large)
		churn_large(churn);
	churn->step++;
}

static void churn_for_ever(unsigned int self)
{
	static struct churn churn;

	for (;;) {
		churn_step(&churn);
		if (!self)
			churn_heap(&churn);
		start_threads(board->ready < BOARD_THREADS ? 1 : churn.step);
		board->steps[self]++;
		nap();
	}
}

/* ---- all together ---- */

static void *(*const waiters[])(void *) = {
	wait_in_read,  wait_in_epoll,      wait_in_futex, wait_in_nanosleep, wait_in_poll,
	wait_in_wait4, wait_in_sigsuspend, handle_signal, wait_in_read,      wait_in_epoll,
	wait_in_futex, wait_in_nanosleep,  wait_in_poll,
};
_Static_assert(ACCOUNTS + sizeof(waiters) / sizeof(*waiters) + 1 == BOARD_THREADS, "all threads");

int main(int argc, char **argv)
{
	int fd = argc > 1 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1;
	pthread_t thread;

	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (board == MAP_FAILED || pipe(ends))
		return 1;
	(void)close(fd);
	program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (argc > 3) {
		const size_t bytes = strtoul(argv[3], NULL, 10) & ~(LARGE_BLOCK - 1UL);
		unsigned char *memory = mmap(NULL, bytes + LARGE_BLOCK, PROT_READ | PROT_WRITE,
					     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (memory == MAP_FAILED)
			return 1;
		memory += -(uintptr_t)memory % LARGE_BLOCK;
		memset(memory, 1, bytes);
		if (!strcmp(argv[2], "large")) {
			large = memory;
			large_bytes = bytes;
		}
	}
	if (argc > 2) {
		board->ready = BOARD_THREADS;
		churn_for_ever(0);
	}
	for (uintptr_t i = 0; i < ACCOUNTS; i++)
		(void)pthread_create(&thread, NULL, trade, (void *)i);
	for (uintptr_t i = 0; i < sizeof(waiters) / sizeof(*waiters); i++)
		(void)pthread_create(&thread, NULL, waiters[i], (void *)(ACCOUNTS + i));
	begin();
	churn_for_ever(BOARD_THREADS - 1);
}
