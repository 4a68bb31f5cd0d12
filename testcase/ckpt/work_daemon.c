/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Scenes of programs that do what daemons and servers do: close all files, drop their rights, lock
 * themselves in, move their memory, take signals for themselves.
 */
#include "work.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

/* ---- numbers of files ---- */

static int last_number(void)
{
	struct rlimit limit;

	must(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	return (int)limit.rlim_cur - 1;
}

/* With few numbers: a file takes each that is free, or with a number all from that on are closed
 * once an image is there. What each of them had must be there later. */
static void numbers(void)
{
	int last = last_number(), first = work_number ? (int)work_number : 3;
	char text[32];

	say("ready");
	while (access("image", F_OK) != 0 && !must_finish())
		(void)usleep(10000);
	for (int fd = first; fd <= last; fd++) {
		(void)snprintf(text, sizeof(text), "file %d", fd);
		(void)close(fd);
		if (fd % 23 != 0 && fd < last - 20)
			continue;
		must(open(text, O_CREAT | O_TRUNC | O_RDWR, 0600) == first);
		must(fd == first || (dup2(first, fd) == fd && close(first) == 0));
		must(write(fd, text, sizeof(text)) == sizeof(text));
	}
	(void)close(first);
	say("opened");
	wait_for_finish();
	for (int fd = first + 1; fd <= last; fd++) {
		char back[sizeof(text)] = {0};

		(void)snprintf(text, sizeof(text), "file %d", fd);
		if (fd % 23 != 0 && fd < last - 20)
			check(fcntl(fd, F_GETFD) < 0);
		else
			check(pread(fd, back, sizeof(back), 0) == sizeof(back) &&
			      strcmp(back, text) == 0);
	}
}

/* ---- moving memory ---- */

/* What libckpt does for increments to see writes must not be seen: mappings that were one stay one,
 * whatever is done to a part of them between two images. */
static void moves(void)
{
	enum { AREAS = 5, BETWEEN = 64 };
	const int both = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS;
	unsigned char *areas[AREAS];

	for (size_t i = 0; i < AREAS; i++) {
		areas[i] = mmap(NULL, 8 * PAGE, both, flags, -1, 0);
		must(areas[i] != MAP_FAILED);
		must(mmap(NULL, BETWEEN * PAGE, PROT_NONE, flags, -1, 0) != MAP_FAILED);
		fill(areas[i], 8 * PAGE, i);
	}
	say("ready");
	while (access("go", F_OK) != 0)
		(void)usleep(10000);
	for (size_t i = 0; i < AREAS; i++) {
		must(mmap(areas[i] + 2 * PAGE, 2 * PAGE, both, flags | MAP_FIXED, -1, 0) !=
		     MAP_FAILED);
		areas[i] = mremap(areas[i], 8 * PAGE, (16 + i) * PAGE, MREMAP_MAYMOVE);
		check(areas[i] != MAP_FAILED);
		fill(areas[i] + 9 * PAGE, PAGE, i + 23);
	}
	say("moved");
	wait_for_finish();
	for (size_t i = 0; i < AREAS; i++) {
		check(is_filled(areas[i], 2 * PAGE, i));
		check(is_filled(areas[i] + 4 * PAGE, 4 * PAGE, i + 4 * PAGE / 8));
		check(is_filled(areas[i] + 9 * PAGE, PAGE, i + 23));
		for (size_t k = 2 * PAGE; k < 4 * PAGE; k++)
			check(areas[i][k] == 0);
	}
}

/* ---- rights ---- */

/* Not dumpable: the files of /proc/self are root's. */
static void dropped(void)
{
	must(setgid(65534) == 0 && setuid(65534) == 0);
	must(prctl(PR_GET_DUMPABLE) == 0);
	say("ready");
	wait_for_finish();
	check(prctl(PR_GET_DUMPABLE) == 0);
}

static bool is_wiped(const unsigned char *page)
{
	int status = 0;
	pid_t child = fork();

	must(child >= 0);
	if (child == 0)
		_exit(*page == 0 ? 0 : WRONG);
	must(waitpid(child, &status, 0) == child);
	return status == 0;
}

static void *check_slack(void *argument)
{
	const struct sched_param none = {0};

	must(prctl(PR_SET_TIMERSLACK, 2301, 0, 0, 0) == 0);
	must(sched_setscheduler(0, SCHED_BATCH, &none) == 0);
	*(volatile int *)argument = 1;
	while (access("finish", F_OK) != 0)
		(void)usleep(10000);
	check(prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0) == 2301);
	check(sched_getscheduler(0) == SCHED_BATCH);
	return argument;
}

static unsigned long locked_kib(void)
{
	unsigned long kib = 0;
	char line[256];
	FILE *f = fopen("/proc/self/status", "re");

	must(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "VmLck: %lu", &kib) == 1)
			break;
	}
	(void)fclose(f);
	return kib;
}

/* Has it a page of its own? A page that was only read has not. */
static bool has_page(const void *at)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY);

	must(fd >= 0 && pread(fd, &entry, sizeof(entry), (off_t)((uintptr_t)at / PAGE * 8)) == 8);
	(void)close(fd);
	return entry >> 56 & 1; /* PM_MMAP_EXCLUSIVE */
}

/* Advice of madvise(2), processors, prctl(2). */
static void settings(void)
{
	enum { OF_PROCESS = 1, IO_IDLE = 3 << 13 }; /* ioprio_set(2) */
	const int both = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS;
	unsigned char *secret = mmap(NULL, PAGE, both, flags, -1, 0), *room, *stack, *locked;
	volatile int is_set = 0;
	cpu_set_t wanted, all;
	int answer = 0, first = 0;
	pthread_t id;

	must(secret != MAP_FAILED && madvise(secret, PAGE, MADV_WIPEONFORK) == 0);
	must(mlock(secret, PAGE) == 0);
	locked = mmap(NULL, 23 * PAGE, both, flags, -1, 0);
	must(locked != MAP_FAILED && mlock2(locked, 23 * PAGE, MLOCK_ONFAULT) == 0);
	*locked = 23;
	must(setpriority(PRIO_PROCESS, 0, 3) == 0);
	must(syscall(SYS_ioprio_set, OF_PROCESS, 0, IO_IDLE) == 0);
	*secret = 23;
	room = mmap(NULL, 64 << 20, PROT_NONE, flags | MAP_NORESERVE, -1, 0);
	must(room != MAP_FAILED && munmap(room, 64 << 20) == 0);
	stack = mmap(room + (48 << 20), PAGE, both, flags | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
	must(stack != MAP_FAILED);
	*stack = 1;
	must(sched_getaffinity(0, sizeof(all), &all) == 0);
	while (!CPU_ISSET(first, &all))
		first++;
	CPU_ZERO(&wanted);
	CPU_SET(first, &wanted);
	must(sched_setaffinity(0, sizeof(wanted), &wanted) == 0);
	must(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
	must(prctl(PR_SET_PDEATHSIG, SIGURG, 0, 0, 0) == 0);
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	must(prctl(PR_SET_TIMERSLACK, 12345, 0, 0, 0) == 0);
	must(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0);
	must(pthread_create(&id, NULL, check_slack, (void *)&is_set) == 0);
	while (!is_set)
		(void)usleep(1000);
	say("ready");
	wait_for_finish();
	check(*secret == 23 && is_wiped(secret) && locked_kib() == 4 + 23 * 4);
	check(*locked == 23 && has_page(locked) && !has_page(locked + 22 * PAGE));
	check(getpriority(PRIO_PROCESS, 0) == 3 && sched_getscheduler(0) == SCHED_OTHER);
	check(syscall(SYS_ioprio_get, OF_PROCESS, 0) == IO_IDLE);
	for (int i = 1; i < 230; i++)
		stack[-(long)PAGE * i] = 1;
	must(sched_getaffinity(0, sizeof(all), &all) == 0);
	check(CPU_EQUAL(&all, &wanted));
	check(prctl(PR_GET_CHILD_SUBREAPER, &answer, 0, 0, 0) == 0 && answer == 1);
	check(prctl(PR_GET_PDEATHSIG, &answer, 0, 0, 0) == 0 && answer == SIGURG);
	check(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	check(prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0) == 12345);
	check(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1);
	check(pthread_join(id, NULL) == 0);
}

/* ---- memory that is mapped twice ---- */

static void views(void)
{
	enum { KINDS = 4 };
	const int both = PROT_READ | PROT_WRITE;
	int memfd = memfd_create("views", MFD_CLOEXEC);
	int gone = open("gone", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	int id = shmget(IPC_PRIVATE, 23 * PAGE, IPC_CREAT | 0600);
	unsigned char *a[KINDS], *b[KINDS];

	must(memfd >= 0 && gone >= 0 && id >= 0);
	must(ftruncate(memfd, 23 * PAGE) == 0 && ftruncate(gone, 23 * PAGE) == 0);
	a[0] = mmap(NULL, 23 * PAGE, both, MAP_SHARED, memfd, 0);
	b[0] = mmap(NULL, 7 * PAGE, PROT_READ, MAP_SHARED, memfd, 16 * PAGE); /* of its end */
	a[1] = mmap(NULL, 23 * PAGE, both, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	b[1] = mremap(a[1] + 16 * PAGE, 0, 7 * PAGE, MREMAP_MAYMOVE);
	a[2] = shmat(id, NULL, 0);
	b[2] = (unsigned char *)shmat(id, NULL, 0) + 16 * PAGE;
	a[3] = mmap(NULL, 23 * PAGE, both, MAP_SHARED, gone, 0);
	b[3] = mmap(NULL, 7 * PAGE, both, MAP_SHARED, gone, 16 * PAGE);
	must(shmctl(id, IPC_RMID, NULL) == 0 && unlink("gone") == 0);
	must(close(memfd) == 0 && close(gone) == 0);
	for (size_t i = 0; i < KINDS; i++) {
		must(a[i] != MAP_FAILED && b[i] != MAP_FAILED);
		fill(a[i], 23 * PAGE, i);
	}
	say("ready");
	wait_for_finish();
	for (size_t i = 0; i < KINDS; i++) {
		check(is_filled(a[i], 23 * PAGE, i));
		fill(a[i] + 20 * PAGE, PAGE, i + 23);
		check(is_filled(b[i], 4 * PAGE, i + 16 * PAGE / 8));
		check(is_filled(b[i] + 4 * PAGE, PAGE, i + 23));
	}
}

/* ---- children ---- */

static int be_background(void *argument)
{
	(void)argument;
	printf("child %d\n", (int)getpid());
	say("ready");
	wait_for_finish();
	_exit(0);
}

/* In one of the ways that there are. */
static pid_t fork_somehow(void)
{
	const struct clone_args args = {.exit_signal = SIGCHLD};
	static unsigned char stack[64 * PAGE];

	if (work_number == 1)
		return _Fork();
	if (work_number == 2)
		return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	if (work_number == 3)
		return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (work_number == 4)
		return clone(be_background, stack + 64 * PAGE, SIGCHLD, NULL);
	return fork();
}

/* Forks into the background, and asks for nothing. */
static void background(void)
{
	int status = 0;
	pid_t child = fork_somehow();

	must(child >= 0);
	if (child == 0)
		(void)be_background(NULL);
	must(waitpid(child, &status, 0) == child);
	check(status == 0);
}

/* ---- seccomp(2) ---- */

#define ALLOW(number)                                                                              \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1),                                       \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* A call that is not in its list ends the program. */
static void locked_in(void)
{
	static unsigned char dispatch = SYSCALL_DISPATCH_FILTER_ALLOW;
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(SYS_write),
		ALLOW(SYS_rt_sigreturn),
		ALLOW(SYS_clock_nanosleep),
		ALLOW(SYS_exit_group),
		ALLOW(SYS_access),
		ALLOW(SYS_symlink),
		ALLOW(SYS_fstat),
		ALLOW(SYS_newfstatat),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = {sizeof(filter) / sizeof(*filter), filter};

	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	if (work_number == 1)
		must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0);
	else if (work_number == 2)
		must(prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, &dispatch) == 0);
	else if (work_number == 3)
		must(prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0) == 0);
	else
		must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
	say("ready");
	wait_for_finish();
}

/* ---- signals ---- */

/* Waits for a few signals, the one of libckpt among them. */
static void awaited(void)
{
	const struct timespec soon = {0, 10000000};
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR2);
	(void)sigaddset(&set, SIGHUP);
	(void)sigtimedwait(&set, NULL, &soon);
	(void)sigtimedwait(&set, NULL, &soon);
	say("ready");
	wait_for_finish();
}

static void ignore_it(int signal)
{
	(void)signal;
}

/* Takes the signal for itself, in one of the ways that there are; some are of old programs. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static void taken(void)
{
	const struct sigaction action = {.sa_handler = ignore_it};
	const uint64_t kernels[4] = {(uintptr_t)SIG_IGN}; /* as rt_sigaction(2) has it */
	const uint64_t kernels_default[4] = {(uintptr_t)SIG_DFL};

	for (int number = 1; number < 32; number++) { /* as daemons begin */
		if (number != SIGKILL && number != SIGSTOP)
			must(signal(number, SIG_DFL) != SIG_ERR);
	}
	if (work_number == 1)
		must(signal(SIGUSR2, ignore_it) == SIG_DFL);
	else if (work_number == 2)
		must(sigaction(SIGUSR2, &action, NULL) == 0);
	else if (work_number == 3)
		must(signal(SIGUSR2, SIG_IGN) == SIG_DFL);
	else if (work_number == 4)
		must(sigset(SIGUSR2, ignore_it) == SIG_DFL);
	else if (work_number == 5)
		must(sigignore(SIGUSR2) == 0);
	else if (work_number == 6)
		must(syscall(SYS_rt_sigaction, SIGUSR2, &kernels, NULL, sizeof(uint64_t)) == 0);
	else if (work_number == 7)
		must(syscall(SYS_rt_sigaction, SIGUSR2, &kernels_default, NULL, sizeof(uint64_t)) ==
		     0);
	else
		must(sighold(SIGUSR2) == 0 && sigset(SIGUSR2, SIG_HOLD) == SIG_DFL);
	say("ready");
	wait_for_finish();
}
#pragma GCC diagnostic pop

static void tick(union sigval value)
{
	(void)value;
}

/* The thread with which the C library serves SIGEV_THREAD; it blocks all signals. */
static void helper(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = tick};
	timer_t timer;

	must(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	say("ready");
	wait_for_finish();
}

static void *wait_for_signals(void *argument)
{
	const uint64_t kernels = UINT64_MAX; /* as rt_sigtimedwait(2) has it */
	sigset_t all;
	int number = 0;

	(void)sigfillset(&all);
	while (number != SIGHUP) {
		if (work_number)
			number = (int)syscall(SYS_rt_sigtimedwait, &kernels, NULL, NULL,
					      sizeof(kernels));
		else
			must(sigwait(&all, &number) == 0);
	}
	return argument;
}

/* In one of the ways that there are; some are of old programs. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static void block_all(void)
{
	const uint64_t kernels = UINT64_MAX; /* as rt_sigprocmask(2) has it */
	sigset_t all;

	(void)sigfillset(&all);
	if (work_number == 1) {
		must(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &kernels, NULL, sizeof(kernels)) == 0);
	} else if (work_number == 2) {
		must(sigblock(~0) == 0);
	} else if (work_number == 3) {
		must(sigsetmask(~0) == 0);
	} else {
		must(pthread_sigmask(SIG_BLOCK, &all, NULL) == 0);
		must(sigprocmask(SIG_SETMASK, &all, NULL) == 0);
	}
}
#pragma GCC diagnostic pop

/* All threads block all signals, and one waits for them. */
static void blocked(void)
{
	sigset_t mask;
	pthread_t id;

	block_all();
	must(pthread_create(&id, NULL, wait_for_signals, NULL) == 0);
	say("ready");
	wait_for_finish();
	must(pthread_sigmask(SIG_BLOCK, NULL, &mask) == 0);
	check(sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGUSR1) == 1);
	must(pthread_kill(id, SIGHUP) == 0);
	check(pthread_join(id, NULL) == 0);
}

/* Computes, with all signals blocked in a way that nobody can see. */
static void *compute_deaf(void *argument)
{
	const uint64_t all = UINT64_MAX;
	register long r10 __asm__("r10") = sizeof(all);
	volatile uint64_t sum = 0;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"(SYS_rt_sigprocmask), "D"(SIG_SETMASK), "S"(&all), "d"(0), "r"(r10)
			 : "rcx", "r11", "memory");
	must(result == 0);
	*(volatile int *)argument = 1;
	while (access("finish", F_OK) != 0) {
		for (uint64_t i = 0; i < 1000000; i++)
			sum += mix(i);
	}
	return argument;
}

static void computing(void)
{
	volatile int is_there = 0;
	pthread_t id;

	must(pthread_create(&id, NULL, compute_deaf, (void *)&is_there) == 0);
	while (!is_there)
		(void)usleep(1000);
	say("ready");
	wait_for_finish();
	check(pthread_join(id, NULL) == 0);
}

const struct work_scene work_daemon[] = {
	{"numbers", numbers},
	{"moves", moves},
	{"dropped", dropped},
	{"settings", settings},
	{"views", views},
	{"background", background},
	{"locked-in", locked_in},
	{"taken", taken},
	{"helper", helper},
	{"awaited", awaited},
	{"blocked", blocked},
	{"computing", computing},
	{NULL, NULL},
};
