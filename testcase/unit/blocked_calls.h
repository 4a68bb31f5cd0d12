/* SPDX-License-Identifier: BSD-2-Clause
 *
 * System calls in which a child of a test is blocked, how the test ends each, and what it returns
 * then.
 */
#ifndef UNIT_BLOCKED_CALLS_H
#define UNIT_BLOCKED_CALLS_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include "injected_child.h"

enum { BYTES = 23 };

static int pipe_ends[2], semaphore;

/* One call that is blocked until the test ends it. */
static void call_and_stay(int64_t (*call)(void))
{
	prepare();
	(void)syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &shared->mask_before, 8);
	shared->begun++;
	shared->result = call();
	shared->error = errno;
	(void)syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &shared->mask_after, 8);
	shared->ended++;
	for (;;)
		(void)pause();
}

static int64_t call_read(void)
{
	char bytes[BYTES + 1];

	return read(pipe_ends[0], bytes, sizeof(bytes));
}

static int64_t call_nanosleep(void)
{
	const struct timespec time = {.tv_sec = LIMIT_SECONDS};

	return nanosleep(&time, NULL);
}

/* It ends by itself, and not before its time. */
static int64_t call_short_sleep(void)
{
	struct timespec time = {.tv_nsec = 230000000}, before, after;
	int64_t result;

	(void)clock_gettime(CLOCK_MONOTONIC, &before);
	result = nanosleep(&time, NULL);
	(void)clock_gettime(CLOCK_MONOTONIC, &after);
	time.tv_nsec -= after.tv_nsec - before.tv_nsec;
	return after.tv_sec == before.tv_sec && time.tv_nsec > 0 ? 1 : result;
}

static int64_t call_futex(void)
{
	return syscall(SYS_futex, &shared->futex, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static int64_t call_futex_timed(void)
{
	const struct timespec time = {.tv_sec = LIMIT_SECONDS};

	return syscall(SYS_futex, &shared->futex, FUTEX_WAIT, 0, &time, NULL, 0);
}

static int64_t call_epoll(void)
{
	struct epoll_event event = {.events = EPOLLIN};
	int fd = epoll_create1(EPOLL_CLOEXEC);

	must(fd < 0 || epoll_ctl(fd, EPOLL_CTL_ADD, pipe_ends[0], &event));
	return epoll_wait(fd, &event, 1, -1);
}

static int64_t call_poll(void)
{
	struct pollfd fd = {.fd = pipe_ends[0], .events = POLLIN};

	return poll(&fd, 1, LIMIT_SECONDS * 1000);
}

static int64_t call_ppoll(void)
{
	struct pollfd fd = {.fd = pipe_ends[0], .events = POLLIN};
	sigset_t set;

	(void)sigfillset(&set);
	return ppoll(&fd, 1, NULL, &set);
}

static int64_t call_wait(void)
{
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			(void)pause();
	shared->other = pid;
	return waitpid(pid, NULL, 0) == pid ? 23 : -1;
}

static int64_t call_sigsuspend(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	return sigsuspend(&set);
}

static int64_t call_pause(void)
{
	return pause();
}

static int64_t call_sigwait(void)
{
	siginfo_t info;
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR2);
	return sigwaitinfo(&set, &info) == SIGUSR2 && info.si_pid == getppid() ? 23 : -1;
}

static int64_t call_semop(void)
{
	struct sembuf take = {.sem_op = -1};

	return semop(semaphore, &take, 1);
}

static int64_t call_recv(void)
{
	const struct timeval time = {.tv_sec = LIMIT_SECONDS};
	char bytes[BYTES + 1];
	int ends[2];

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	must(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)));
	if (fork() == 0) {
		char byte;

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (read(pipe_ends[0], &byte, 1) == 1)
			(void)!write(ends[1], bytes, BYTES);
		_exit(0);
	}
	return recv(ends[0], bytes, sizeof(bytes), 0);
}

/* ---- how the test ends them ---- */

static void end_by_pipe(pid_t child)
{
	char bytes[BYTES] = "";

	(void)child;
	must(write(pipe_ends[1], bytes, sizeof(bytes)) != sizeof(bytes));
}

static void end_by_wake(pid_t child)
{
	(void)child;
	(void)syscall(SYS_futex, &shared->futex, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void end_by_signal(pid_t child)
{
	must(kill(child, SIGUSR1));
}

static void end_by_other_signal(pid_t child)
{
	must(kill(child, SIGUSR2));
}

static void end_by_death(pid_t child)
{
	(void)child;
	must(kill(shared->other, SIGKILL));
}

static void end_by_semaphore(pid_t child)
{
	struct sembuf give = {.sem_op = 1};

	(void)child;
	must(semop(semaphore, &give, 1));
}

static void end_by_itself(pid_t child)
{
	(void)child;
}

static const struct blocked {
	const char *name;
	int64_t (*call)(void);
	void (*end)(pid_t child);
	int64_t result;
	int error;
} blocked[] = {
	{"read", call_read, end_by_pipe, BYTES, 0},
	{"nanosleep", call_nanosleep, end_by_signal, -1, EINTR},
	{"nanosleep to its end", call_short_sleep, end_by_itself, 0, 0},
	{"futex", call_futex, end_by_wake, 0, 0},
	{"futex with a timeout", call_futex_timed, end_by_wake, 0, 0},
	{"futex, by a signal", call_futex_timed, end_by_signal, -1, EINTR},
	{"epoll_wait", call_epoll, end_by_pipe, 1, 0},
	{"epoll_wait, by a signal", call_epoll, end_by_signal, -1, EINTR},
	{"poll", call_poll, end_by_pipe, 1, 0},
	{"poll, by a signal", call_poll, end_by_signal, -1, EINTR},
	{"ppoll", call_ppoll, end_by_pipe, 1, 0},
	{"wait4", call_wait, end_by_death, 23, 0},
	{"sigsuspend", call_sigsuspend, end_by_signal, -1, EINTR},
	{"pause", call_pause, end_by_signal, -1, EINTR},
	{"sigwaitinfo", call_sigwait, end_by_other_signal, 23, 0},
	{"semop", call_semop, end_by_semaphore, 0, 0},
	{"recv with a timeout", call_recv, end_by_pipe, BYTES, 0},
};
enum { BLOCKED = sizeof(blocked) / sizeof(*blocked) };

#endif
