/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Scenes of what a process has beside memory: signals, descriptors, threads, children, and
 * checkpoints inside a checkpoint.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "scenes.h"

static volatile sig_atomic_t signals;

static void on_signal(int number)
{
	(void)number;
	signals++;
}

static void change_signals(int round)
{
	static unsigned char stack[1 << 16];
	stack_t other = {.ss_sp = stack, .ss_size = sizeof(stack)};
	struct sigaction action = {.sa_handler = on_signal};
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR1 + round % 2);
	check(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	check(sigaction(SIGUSR2, &action, NULL) == 0);
	check(sigaction(SIGTERM, &action, NULL) == 0);
	check(sigaltstack(&other, NULL) == 0);
}

static void verify_signals(void)
{
	struct sigaction action;
	stack_t stack;
	sigset_t set;

	check(sigprocmask(SIG_BLOCK, NULL, &set) == 0 && !sigismember(&set, SIGUSR1) &&
	      !sigismember(&set, SIGUSR2) && sigismember(&set, SIGWINCH));
	check(sigaction(SIGUSR2, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
	check(sigaction(SIGTERM, NULL, &action) == 0 && action.sa_handler == SIG_IGN);
	check(sigaltstack(NULL, &stack) == 0 && (stack.ss_flags & SS_DISABLE));
}

static void begin_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGWINCH);
	check(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	check(signal(SIGTERM, SIG_IGN) == SIG_DFL);
}

static void go_back_in_handler(int number)
{
	(void)number;
	scene__data[7]++;
	rollback__back(scene__shared->rollback);
}

static void begin_handler(void)
{
	static unsigned char stack[1 << 16];
	stack_t other = {.ss_sp = stack, .ss_size = sizeof(stack)};
	struct sigaction action = {.sa_handler = go_back_in_handler, .sa_flags = SA_ONSTACK};

	check(sigaltstack(&other, NULL) == 0);
	check(sigaction(SIGSEGV, &action, NULL) == 0);
}

static void crash(int round)
{
	scene__block[round] ^= 1;
	*(volatile int *)(uintptr_t)(round + 23) = 1;
	scene__fail(__FILE__, __LINE__);
}

static void open_files(int round)
{
	check(lseek(scene__file, round, SEEK_SET) == round);
	check(open("/dev/null", O_RDONLY) >= 0);
	check(dup2(scene__file, 300 + round) == 300 + round);
}

static void verify_files(void)
{
	check(lseek(scene__file, 0, SEEK_CUR) == 30 * PAGE);
	for (int fd = 300; fd < 300 + ROUNDS; fd++)
		check(fcntl(fd, F_GETFD) < 0);
	check(fcntl(scene__shared->descriptor, F_GETFD) >= 0);
}

static void *run_thread(void *argument)
{
	for (;;)
		++*(volatile unsigned char *)argument;
	return NULL;
}

static void make_threads(int round)
{
	pthread_t thread;

	for (int i = 0; i < 3; i++)
		check(pthread_create(&thread, NULL, run_thread,
				     scene__block + (i * 3 + round) * PAGE) == 0);
	usleep(1000);
}

static void verify_threads(void)
{
	check(scene__shared->round == 0 ||
	      rollback__stats(scene__shared->rollback)->ended_threads ==
		      3 * (uint64_t)scene__shared->round);
}

static void close_all(int round)
{
	scene__block[round * PAGE] ^= 1;
	for (int fd = 20; fd < 1000; fd++)
		(void)close(fd);
	scene__block[3 * PAGE] ^= 1;
}

static void take_inner(int round)
{
	struct rollback *inner = NULL;
	volatile int count = 0;
	int *kept = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	scene__block[round * PAGE + 9] ^= 1;
	check(kept != MAP_FAILED);
	kept[1] = rollback__take(&inner, NULL);
	check(kept[1] == (kept[0] > 0));
	check(count == 0 && scene__block[5 * PAGE] == scene__block[5 * PAGE + 1]);
	count = count + 1;
	scene__block[5 * PAGE]++;
	scene__block[7 * PAGE + round]++;
	if (kept[0]++ < 3)
		rollback__back(inner);
	if (round % 2)
		rollback__free(inner);
}

static void begin_inner(void)
{
	scene__block[5 * PAGE] = scene__block[5 * PAGE + 1];
}

static void restore_only(int round)
{
	unsigned char on_stack[PAGE];
	const unsigned char old = scene__block[3 * PAGE + round];

	memset(on_stack, round, sizeof(on_stack));
	scene__block[3 * PAGE + round] ^= 1;
	check(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	check(rollback__restore(scene__shared->rollback) == 0);
	check(scene__block[3 * PAGE + round] == old);
	for (size_t i = 0; i < sizeof(on_stack); i++)
		check(on_stack[i] == round);
	scene__block[3 * PAGE + round] ^= 1;
}

static void fork_child(int round)
{
	pid_t pid;

	scene__block[round] ^= 1;
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		scene__block[PAGE + round] ^= 1;
		scene__shared->expected_pid = getpid();
		rollback__back(scene__shared->rollback); /* from now on, the child is watched */
	}
	check(pid > 0);
	for (;;)
		pause();
}

static void verify_fork(void)
{
	if (scene__shared->round > 0) {
		check(getpid() == scene__shared->expected_pid);
		check(pthread_kill(pthread_self(), 0) == 0);
	}
}

const struct scene scenes_process[] = {
	{"change_signals", 0, begin_signals, NULL, change_signals, verify_signals},
	SCENE(crash, begin_handler),
	{"open_files", ROLLBACK_CLOSE_NEW | ROLLBACK_OFFSETS, scene__begin_file, NULL, open_files,
	 verify_files},
	{"make_threads", 0, NULL, NULL, make_threads, verify_threads},
	SCENE(close_all, NULL),
	SCENE(take_inner, begin_inner),
	SCENE(restore_only, NULL),
	{"fork_child", 0, NULL, NULL, fork_child, verify_fork},
	{0},
};
