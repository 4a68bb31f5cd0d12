/* SPDX-License-Identifier: BSD-2-Clause
 *
 * target CASE [FILE]: a target for driver, and for afl-fuzz in binary-only mode. It reads an input
 * from FILE or stdin, and does with it what the case says. Whatever it finds different from a fresh
 * process shows in its coverage map or its status.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "target.h"

static unsigned char input[4096];
static size_t bytes;
static const char *file;

static unsigned int byte(size_t i)
{
	return i < bytes ? input[i] : 0;
}

static void read_input(void)
{
	int fd = file ? open(file, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	ssize_t got = read(fd, input, sizeof(input));

	if (got < 0)
		_exit(99);
	bytes = (size_t)got;
	if (file)
		(void)close(fd);
}

/* ---- exits: the last thing that a run does, and what happens on the way ---- */

static unsigned int exits; /* in this run */

static void note_exit(void)
{
	cover(1000 + ++exits);
	(void)printf("unflushed\n");
}

static void on_segv(int number)
{
	cover(2000 + (uint64_t)number);
	if (byte(1) & 1)
		exit(41);
	_exit(42);
}

/* Makes the stack grow by as many pages. */
static uint64_t dive(uint64_t pages)
{
	volatile char frame[4096];

	frame[0] = (char)pages;
	return pages ? dive(pages - 1) + (uint64_t)frame[0] : 0;
}

static void handle_segv(bool on_other_stack)
{
	static char stack[65536];
	const stack_t other = {.ss_sp = stack, .ss_size = sizeof(stack)};
	struct sigaction action = {.sa_handler = on_segv,
				   .sa_flags = on_other_stack ? SA_ONSTACK : 0};

	if (on_other_stack)
		(void)sigaltstack(&other, NULL);
	(void)sigaction(SIGSEGV, &action, NULL);
}

static int play_exits(void)
{
	stack_t stack;
	struct sigaction action;

	(void)sigaltstack(NULL, &stack);
	(void)sigaction(SIGSEGV, NULL, &action);
	cover(500 + (uint64_t)stack.ss_flags);
	cover(action.sa_handler == SIG_DFL ? 600 : 601);
	(void)atexit(note_exit);
	(void)at_quick_exit(note_exit);
	switch (byte(0) % 14) {
	case 0:
		return (int)byte(1);
	case 1:
		exit((int)byte(1) << 4);
	case 2:
		_exit((int)byte(1));
	case 3:
		_Exit((int)byte(1));
	case 4:
		quick_exit((int)byte(1));
	case 5:
		(void)syscall(SYS_exit_group, (int)byte(1));
		break;
	case 6:
		handle_segv(false);
		(void)raise(SIGSEGV);
		break;
	case 7:
		handle_segv(true);
		(void)raise(SIGSEGV);
		break;
	case 8:
		pthread_exit(NULL);
	case 9:
		if (byte(1) < 8)
			abort();
		break;
	case 10:
		if (byte(1) < 8)
			*(volatile int *)(uintptr_t)(byte(2) + 1) = 1; /* no address of ours */
		break;
	case 11:
		if (byte(1) < 8)
			(void)raise(SIGTERM);
		break;
	case 12:
		if (byte(1) < 8)
			(void)kill(getpid(), SIGKILL);
		break;
	default:
		cover(dive(byte(1)));
	}
	return 7;
}

/* ---- memory: what is left of a run before would change what this one covers ---- */

static unsigned char *heap, *mapped;
static size_t heap_bytes, mapped_bytes;
static unsigned char large[1 << 20];
static __thread uint64_t in_thread;

static void prepare_memory(void)
{
	heap_bytes = 300001;
	mapped_bytes = 1 << 20;
	heap = malloc(heap_bytes);
	mapped = mmap(NULL, mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	if (!heap || mapped == MAP_FAILED)
		abort();
	for (size_t i = 0; i < heap_bytes; i++)
		heap[i] = (unsigned char)(i * 23);
	memset(mapped, 23, mapped_bytes / 2);
}

/* Looks at a byte, then changes it. */
static void touch(unsigned char *place)
{
	cover(4000 + *place);
	*place = (unsigned char)(*place * 5 + 1);
}

static int play_memory(void)
{
	static jmp_buf again;
	static void *kept[16];
	unsigned char on_stack[8192] = {0}, *larger;

	cover((uint64_t)errno);
	cover(in_thread++);
	if (setjmp(again) == 0 && bytes > 60)
		longjmp(again, 1);
	for (size_t i = 0; i + 3 < bytes; i += 3) {
		const size_t place = byte(i + 1) * 1031U + byte(i + 2) * 4099U;

		switch (byte(i) % 8) {
		case 0:
			touch(&heap[place % heap_bytes]);
			break;
		case 1:
			touch(&mapped[place % mapped_bytes]);
			break;
		case 2:
			touch(&large[place % sizeof(large)]);
			break;
		case 3:
			touch(&on_stack[place % sizeof(on_stack)]);
			break;
		case 4:
			cover(kept[i % 16] ? 5000 : 5001);
			free(kept[i % 16]);
			kept[i % 16] = malloc(place);
			break;
		case 5:
			larger = realloc(heap, heap_bytes + place);
			if (!larger)
				abort();
			heap = larger;
			memset(heap + heap_bytes, 0, place);
			heap_bytes += place;
			touch(&heap[heap_bytes - 1 - byte(i)]);
			break;
		case 6:
			(void)mmap(mapped + (place % mapped_bytes & ~4095UL), 4096,
				   PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
				   -1, 0);
			break;
		default:
			(void)madvise(mapped + (place % mapped_bytes & ~4095UL), 4096,
				      MADV_DONTNEED);
		}
	}
	return (int)byte(0) & 1;
}

/* ---- files ---- */

/* Numbers and offsets, as a fresh process would have them. */
static int play_files(void)
{
	struct stat status;
	int fd;

	for (int i = 0; i < 12; i++) {
		cover(6000 + 10 * (uint64_t)i + (fcntl(i, F_GETFD) >= 0));
		if (fstat(i, &status) == 0)
			cover((uint64_t)status.st_mode * 16 + (uint64_t)i);
	}
	cover(7000 + (uint64_t)lseek(STDIN_FILENO, 0, SEEK_CUR));
	for (size_t i = 0; i < bytes && i < 20; i++) {
		fd = (int)byte(i) % 12;
		switch (byte(i) >> 4) {
		case 0:
		case 1:
			(void)close(fd);
			break;
		case 2:
		case 3:
			cover(8000 + (uint64_t)open("/dev/null", O_RDWR));
			break;
		case 4:
			(void)dup2(STDERR_FILENO, fd);
			break;
		case 5:
			(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
			break;
		case 6:
			(void)fclose(stdout);
			break;
		case 7:
			if (i == 0)
				(void)close_range(3, ~0U, 0);
			break;
		default:
			(void)lseek(fd, (off_t)byte(i), SEEK_SET);
		}
	}
	return 0;
}

/* A target that reads by the C library, and does not read all. */
static int play_stdin(void)
{
	int sum = 0;

	for (int i = 0; i < 5; i++)
		sum += getchar();
	cover((uint64_t)sum);
	return sum & 127;
}

/* ---- what a process keeps ---- */

static int find_umask(void)
{
	char text[4096] = "";
	const int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	const char *line = NULL;

	if (read(fd, text, sizeof(text) - 1) > 0)
		line = strstr(text, "Umask:");
	(void)close(fd);
	return line ? (int)strtol(line + 6, NULL, 8) : -1;
}

static int play_kept(void)
{
	const struct itimerval later = {.it_value = {.tv_sec = 1000}};
	struct itimerval timer;
	struct sigevent event = {.sigev_notify = SIGEV_NONE};
	struct rlimit limit;
	timer_t id;
	char folder[4096];

	cover((uint64_t)find_umask());
	(void)getitimer(ITIMER_REAL, &timer);
	cover(timer.it_value.tv_sec ? 9800 : 9801);
	(void)getrlimit(RLIMIT_CORE, &limit);
	cover(9000 + limit.rlim_cur);
	if (getcwd(folder, sizeof(folder)))
		cover(strlen(folder));
	cover(waitpid(-1, NULL, WNOHANG) < 0 ? (uint64_t)errno : 9900);
	switch (byte(0) % 8) {
	case 0:
		(void)umask(byte(1));
		break;
	case 1:
		(void)chdir("/proc/self");
		break;
	case 2:
		limit.rlim_cur = 0;
		(void)setrlimit(RLIMIT_CORE, &limit);
		break;
	case 3:
		(void)timer_create(CLOCK_MONOTONIC, &event, &id);
		break;
	case 4:
		(void)setitimer(ITIMER_REAL, &later, NULL);
		break;
	case 5:
		if (fork() == 0)
			_exit((int)byte(1) & 1);
		break;
	case 6:
		cover(setsid() > 0);
		break;
	default:
		break;
	}
	return 0;
}

/* The same by functions and calls that few programs use, and processor time. */
static void cover_attributes(void)
{
	char name[16] = "";
	struct sched_param parameters;
	struct rlimit limit;
	cpu_set_t set;

	(void)prctl(PR_GET_NAME, name);
	for (int i = 0; name[i]; i++)
		cover(10000 + (uint64_t)name[i]);
	cover(10300 + (uint64_t)prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	cover(10400 + (uint64_t)prctl(PR_GET_DUMPABLE));
	(void)getrlimit(RLIMIT_MSGQUEUE, &limit);
	cover(limit.rlim_cur);
	(void)sched_getaffinity(0, sizeof(set), &set);
	cover(10500 + (uint64_t)CPU_COUNT(&set));
	cover(10600 + (uint64_t)sched_getscheduler(0));
	(void)sched_getparam(0, &parameters);
	cover((uint64_t)personality(UINT32_MAX));
	cover(10700 + (uint64_t)syscall(SYS_ioprio_get, 1, 0));
	cover((uint64_t)find_umask());
	cover(10800 + (getsid(0) == getpid()));
}

static int play_attributes(void)
{
	const struct rlimit limit = {23, 23};
	struct sched_param parameters = {0};
	cpu_set_t set;

	cover_attributes();
	CPU_ZERO(&set);
	CPU_SET((int)byte(1) & 1, &set);
	switch (byte(0) % 13) {
	case 0:
		(void)prctl(PR_SET_NAME, "another");
		break;
	case 1:
		(void)pthread_setname_np(pthread_self(), "thread");
		break;
	case 2:
		(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		break;
	case 3:
		(void)prctl(PR_SET_DUMPABLE, 0);
		break;
	case 4:
		(void)prlimit(0, RLIMIT_MSGQUEUE, &limit, NULL);
		break;
	case 5:
		(void)pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
		break;
	case 6:
		(void)pthread_setschedparam(pthread_self(), SCHED_BATCH, &parameters);
		break;
	case 7:
		(void)personality(ADDR_NO_RANDOMIZE);
		break;
	case 8:
		(void)syscall(SYS_ioprio_set, 1, 0, 3 << 13);
		break;
	case 9:
		(void)syscall(SYS_umask, byte(1));
		break;
	case 10:
		(void)syscall(SYS_setsid);
		break;
	case 11: /* a second time it fails */
		return ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0;
	default:
		break;
	}
	return 0;
}

static long read_processor_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Processor time, not a number of steps: a slow machine needs as many runs to meet a limit. */
static int play_busy(void)
{
	enum { RUN_MS = 50 };
	const long end = read_processor_ms() + RUN_MS;

	while (read_processor_ms() < end)
		;
	return 0;
}

/* ---- system calls without the C library ---- */

/* flags: of mmap(2), beside those of all calls here */
static long call_kernel(long number, void *at, uint64_t length, int protection, int flags)
{
	register long r10 __asm__("r10") = flags | MAP_PRIVATE | MAP_ANONYMOUS;
	register long r8 __asm__("r8") = -1;
	register long r9 __asm__("r9") = 0;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(at), "S"(length), "d"(protection), "r"(r10), "r"(r8),
			   "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

/* Looks at memory, mappings and signals, then changes some of them. */
static int play_raw(void)
{
	enum { FILLED = 128 };
	const uint64_t length = 4096; /* of a page */
	unsigned char *const at = mapped + byte(1) % (FILLED - 8) * length;
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	const uint64_t blocked = 1 << (SIGUSR1 - 1);
	volatile unsigned char *page = mapped;
	void *const free = mapped - (1L << 30);
	struct sigaction action;
	sigset_t mask;

	for (int i = 0; i < FILLED; i++, page += length) {
		const unsigned char value = *page;

		cover((uint64_t)i * 256 + value);
		*page = value;
	}
	(void)sigaction(SIGUSR2, NULL, &action);
	cover(action.sa_handler == SIG_DFL ? 9910 : 9911);
	(void)sigprocmask(SIG_SETMASK, NULL, &mask);
	cover(9912 + (uint64_t)sigismember(&mask, SIGUSR1));
	cover(call_kernel(SYS_mmap, free, length, PROT_READ, MAP_FIXED_NOREPLACE) > 0 ? 9920
										      : 9921);
	(void)call_kernel(SYS_munmap, free, length, 0, 0);
	switch (byte(0) % 8) {
	case 0: /* as large and as writable as before */
		(void)call_kernel(SYS_mmap, at, length * 5, PROT_READ | PROT_WRITE, MAP_FIXED);
		at[length] = 1;
		break;
	case 1:
		(void)call_kernel(SYS_mmap, mapped, mapped_bytes, PROT_READ | PROT_WRITE,
				  MAP_FIXED);
		mapped[byte(2) * length] = 1;
		break;
	case 2:
		(void)call_kernel(SYS_munmap, at, length * 3, 0, 0);
		break;
	case 3:
		(void)call_kernel(SYS_mprotect, at, length * 3, PROT_NONE, 0);
		break;
	case 4:
		(void)call_kernel(SYS_mprotect, at, length * 3, PROT_READ, 0);
		break;
	case 5:
		(void)syscall(SYS_rt_sigaction, SIGUSR2, &ignore, NULL, sizeof(blocked));
		break;
	case 6:
		(void)syscall(SYS_rt_sigprocmask, SIG_BLOCK, &blocked, NULL, sizeof(blocked));
		break;
	default:
		(void)call_kernel(SYS_mmap, free, length, PROT_READ, MAP_FIXED);
	}
	return (int)byte(0) & 1;
}

/* ---- threads ---- */

static void *cover_in_thread(void *argument)
{
	cover((uintptr_t)argument);
	return NULL;
}

static void *wait_in_thread(void *unused)
{
	for (;;)
		(void)pause();
	return unused;
}

/* One thread that is waited for; with some inputs also one that is alive at the end. */
static int play_threads(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, cover_in_thread, (void *)(uintptr_t)byte(0)) != 0 ||
	    pthread_join(thread, NULL) != 0)
		return 99;
	if (byte(0) == 23 && pthread_create(&thread, NULL, wait_in_thread, NULL) != 0)
		return 99;
	return (int)byte(0) & 127;
}

/* ---- hangs ---- */

static int play_hangs(void)
{
	touch(large);
	while (byte(0) % 64 == 23)
		(void)pause();
	return (int)byte(0) & 127;
}

static const struct {
	const char *name;
	int (*play)(void);
} cases[] = {{"exits", play_exits}, {"memory", play_memory},   {"files", play_files},
	     {"stdin", play_stdin}, {"kept", play_kept},       {"attributes", play_attributes},
	     {"busy", play_busy},   {"threads", play_threads}, {"hangs", play_hangs},
	     {"raw", play_raw}};

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	file = argc > 2 ? argv[2] : NULL;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (strcmp(name, cases[i].name) != 0)
			continue;
		prepare_memory();
		target__serve(getenv("TARGET_UNTRACED") ? WUNTRACED : 0);
		if (cases[i].play != play_stdin)
			read_input();
		return cases[i].play();
	}
	(void)fprintf(stderr, "usage: %s CASE [FILE]\n", argv[0]);
	return 2;
}
