/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Scenes about what the kernel keeps for a process: open files, signals, timers, mappings.
 */
#include "work.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>

#ifndef MADV_GUARD_INSTALL /* Linux 6.13 */
#define MADV_GUARD_INSTALL 102
#endif

static void files(void)
{
	char text[64] = {0}, folder[4096], back[4096];
	int log, twin, reading, alone, place, own;

	must(getcwd(folder, sizeof(folder)));
	log = open("log", O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
	must(log >= 0 && write(log, "one\ntwo\n", 8) == 8);
	twin = dup(log);
	reading = open("log", O_RDONLY | O_CLOEXEC);
	place = open("log", O_PATH | O_CLOEXEC);             /* has no offset */
	own = open("/proc/self/comm", O_RDONLY | O_CLOEXEC); /* of another name with another pid */
	must(place >= 0 && own >= 0);
	alone = fcntl(reading, F_DUPFD_CLOEXEC, 230);
	must(twin >= 0 && alone == 230 && close(reading) == 0);
	must(lseek(alone, 4, SEEK_SET) == 4);
	must(mkdir("below", 0700) == 0 || errno == EEXIST);
	must(chdir("below") == 0);
	(void)umask(0027);
	must(symlink("../finish", "finish") == 0 || errno == EEXIST);
	say("ready");
	while (access("../finish", F_OK) != 0) {
		must(symlink("finish", "../alive") == 0 || errno == EEXIST);
		(void)usleep(10000);
	}
	must(getcwd(back, sizeof(back)));
	check(strncmp(back, folder, strlen(folder)) == 0 &&
	      !strcmp(back + strlen(folder), "/below"));
	check(umask(0) == 0027);
	must(ftruncate(log, 8) == 0); /* another restart may have written more */
	check(write(log, "three\n", 6) == 6 && write(twin, "four\n", 5) == 5);
	check(lseek(log, 0, SEEK_CUR) == 19 && lseek(twin, 0, SEEK_CUR) == 19);
	check(read(alone, text, sizeof(text)) == 15 && !strcmp(text, "two\nthree\nfour\n"));
	check(fcntl(log, F_GETFD) == FD_CLOEXEC && fcntl(twin, F_GETFD) == 0);
	check(fcntl(reading, F_GETFD) == -1 && errno == EBADF);
	check(fcntl(place, F_GETFL) & O_PATH);
	check(pread(own, text, 5, 0) == 5 && !memcmp(text, "work\n", 5));
}

/* Output without an end, to a file of the caller. */
static void lines(void)
{
	unsigned int count = 0;

	say("ready");
	do {
		printf("%u\n", count++);
		must(fflush(stdout) == 0);
		(void)usleep(1000);
	} while (!must_finish());
}

/* A file that is written all the time: its offset must be that of the image's moment, although the
 * program goes on while a child writes the image. All lines have one length, so lines of the life
 * before, which were not written again, are right as well. */
static void writes(void)
{
	enum { LINE = 12 };
	int fd = open("log", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char line[LINE + 1], expected[LINE + 1];
	unsigned int count = 0;

	must(fd >= 0);
	say("ready");
	do {
		(void)snprintf(line, sizeof(line), "%011u\n", count++);
		must(write(fd, line, LINE) == LINE);
	} while (count % 100 || !must_finish());
	for (unsigned int i = 0; i < count; i++) {
		(void)snprintf(expected, sizeof(expected), "%011u\n", i);
		must(pread(fd, line, LINE, (off_t)i * LINE) == LINE);
		check(memcmp(line, expected, LINE) == 0);
	}
}

static volatile int handled, on_altstack;
static unsigned char altstack[1 << 16];

static void handle(int signal)
{
	const uintptr_t here = (uintptr_t)__builtin_frame_address(0), low = (uintptr_t)altstack;

	handled = signal;
	on_altstack = here > low && here < low + sizeof(altstack);
}

static void signals(void)
{
	const stack_t stack = {.ss_sp = altstack, .ss_size = sizeof(altstack)};
	struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK}, back;
	sigset_t mask;

	must(sigaltstack(&stack, NULL) == 0 && sigaction(SIGUSR1, &action, NULL) == 0);
	must(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	(void)sigemptyset(&mask);
	(void)sigaddset(&mask, SIGTERM);
	must(sigprocmask(SIG_BLOCK, &mask, NULL) == 0);
	say("ready");
	wait_for_finish();
	must(sigprocmask(SIG_BLOCK, NULL, &mask) == 0);
	for (int i = 1; i < 32; i++)
		check(sigismember(&mask, i) == (i == SIGTERM));
	check(raise(SIGUSR1) == 0 && handled == SIGUSR1 && on_altstack);
	check(sigaction(SIGPIPE, NULL, &back) == 0 && back.sa_handler == SIG_IGN);
	check(sigaction(SIGUSR1, NULL, &back) == 0 && back.sa_handler == handle &&
	      (back.sa_flags & SA_ONSTACK));
}

static volatile sig_atomic_t interrupts;

static void count_interrupt(int signal)
{
	(void)signal;
	interrupts++;
}

/* Ctrl-C once is one signal. */
static void interrupted_once(void)
{
	must(signal(SIGINT, count_interrupt) != SIG_ERR);
	say("ready");
	while (!must_finish()) {
		must(!interrupts || symlink("finish", "interrupted") == 0 || errno == EEXIST);
		(void)usleep(10000);
	}
	check(interrupts == 1);
}

static void stay(int signal)
{
	handled = signal;
	wait_for_finish();
}

/* In a handler when the image is taken, on a stack that has room for what the kernel writes for two
 * handlers, and so many KiB more. */
static void *stay_on_altstack(void *argument)
{
	const struct sigaction action = {.sa_handler = stay, .sa_flags = SA_ONSTACK};
	const size_t frame = (size_t)sysconf(_SC_MINSIGSTKSZ);
	const stack_t stack = {.ss_sp = altstack, .ss_size = 2 * frame + (work_number << 10)};

	must(stack.ss_size <= sizeof(altstack) && sigaltstack(&stack, NULL) == 0);
	must(sigaction(SIGUSR1, &action, NULL) == 0);
	say("ready");
	check(pthread_kill(pthread_self(), SIGUSR1) == 0 && handled == SIGUSR1);
	return argument;
}

static void on_altstack_alone(void)
{
	(void)stay_on_altstack(NULL);
}

static void on_altstack_of_two(void)
{
	pthread_t id;

	must(pthread_create(&id, NULL, stay_on_altstack, NULL) == 0);
	check(pthread_join(id, NULL) == 0);
}

/* A timer of the processor time of a thread: restart cannot make it anew. */
static void timer(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_NONE};
	timer_t id;

	must(timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &id) == 0);
	say("ready");
	wait_for_finish();
}

/* ---- timers ---- */

enum { TIMERS = 23, DELETED = 7, TICK_NS = 5000000 };

static volatile sig_atomic_t ticks[TIMERS], alarms;

static void count_tick(int signal, siginfo_t *info, void *context)
{
	(void)context;
	if (signal == SIGALRM)
		alarms++;
	else
		ticks[info->si_value.sival_int]++;
}

static void tick_in_thread(union sigval value)
{
	ticks[value.sival_int]++;
}

/* Have all gone on? */
static void wait_for_ticks(const timer_t ids[TIMERS])
{
	struct itimerspec left;

	alarms = 0;
	for (int i = 0; i < TIMERS; i++)
		ticks[i] = 0;
	for (int i = 0; i < TIMERS; i++) {
		while (i % 3 != 2 && i != DELETED && ticks[i] == 0)
			(void)usleep(1000);
		if (i == DELETED)
			continue;
		check(timer_gettime(ids[i], &left) == 0);
		check(left.it_value.tv_sec || left.it_value.tv_nsec);
	}
	while (alarms == 0)
		(void)usleep(1000);
}

/* Of each kind: a signal, a thread, and nobody, who looks. */
static void all_timers(void)
{
	const struct itimerval alarm = {{0, 7000}, {0, 7000}};
	const struct sigaction action = {.sa_sigaction = count_tick, .sa_flags = SA_SIGINFO};
	timer_t ids[TIMERS];

	must(sigaction(SIGALRM, &action, NULL) == 0 && sigaction(SIGUSR1, &action, NULL) == 0);
	for (int i = 0; i < TIMERS; i++) {
		const struct itimerspec time = {{0, TICK_NS}, {0, TICK_NS}};
		const struct itimerspec late = {{0, 0}, {1000000, 0}};
		struct sigevent event = {.sigev_value.sival_int = i};

		event.sigev_notify = i % 3 == 0   ? SIGEV_SIGNAL
				     : i % 3 == 1 ? SIGEV_THREAD
						  : SIGEV_NONE;
		if (i % 3 == 0)
			event.sigev_signo = SIGUSR1;
		if (i % 3 == 1)
			event.sigev_notify_function = tick_in_thread;
		must(timer_create(i % 2 ? CLOCK_MONOTONIC : CLOCK_REALTIME, &event, &ids[i]) == 0);
		must(timer_settime(ids[i], 0, i % 3 == 2 ? &late : &time, NULL) == 0);
	}
	must(timer_delete(ids[DELETED]) == 0);
	must(setitimer(ITIMER_REAL, &alarm, NULL) == 0);
	say("ready");
	do {
		wait_for_ticks(ids);
	} while (!must_finish());
	wait_for_ticks(ids);
}

static bool is_later(const struct timespec *before, const struct timespec *after)
{
	return after->tv_sec > before->tv_sec ||
	       (after->tv_sec == before->tv_sec && after->tv_nsec >= before->tv_nsec);
}

/* Waits for moments of both clocks, in turn. None of them ever goes back, and after each image some
 * moments must come soon. */
static void clocks(void)
{
	enum { TURNS = 7, BETWEEN_NS = 50000000, SECOND_NS = 1000000000 };
	static const clockid_t ids[] = {CLOCK_MONOTONIC, CLOCK_BOOTTIME};
	struct timespec last[2], now[2], until;
	unsigned int turns = 0;

	for (unsigned int i = 0; i < 2; i++)
		must(clock_gettime(ids[i], &last[i]) == 0);
	say("ready");
	for (unsigned int left = TURNS; left > 0; left -= must_finish()) {
		const clockid_t id = ids[turns++ % 2];
		int err = EINTR;

		must(clock_gettime(id, &until) == 0);
		until.tv_sec += (until.tv_nsec + BETWEEN_NS) / SECOND_NS;
		until.tv_nsec = (until.tv_nsec + BETWEEN_NS) % SECOND_NS;
		while (err == EINTR)
			err = clock_nanosleep(id, TIMER_ABSTIME, &until, NULL);
		check(err == 0);
		for (unsigned int i = 0; i < 2; i++) {
			must(clock_gettime(ids[i], &now[i]) == 0);
			check(is_later(&last[i], &now[i]));
			last[i] = now[i];
		}
		check(is_later(&until, &now[id == CLOCK_BOOTTIME]));
	}
}

/* What /proc/self/maps says of the permissions at an address. */
static void permissions_of(const void *address, char permissions[5])
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long start, stop;
	char line[4096];

	must(maps);
	memcpy(permissions, "none", 5);
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %4s", &start, &stop, permissions) == 3 && /* NOLINT */
		    start <= (uintptr_t)address && (uintptr_t)address < stop)
			break;
		memcpy(permissions, "none", 5);
	}
	(void)fclose(maps);
}

static void expect_permissions(const void *address, const char *expected)
{
	char permissions[5];

	permissions_of(address, permissions);
	if (strcmp(permissions, expected) != 0)
		end(WRONG, "the permissions at %p are %s, not %s\n", address, permissions,
		    expected);
}

static unsigned char *map(int protection, int flags, int fd)
{
	unsigned char *start = mmap(NULL, 23 * PAGE, protection, flags, fd, 0);

	must(start != MAP_FAILED);
	return start;
}

static void mappings(void)
{
	const int both = PROT_READ | PROT_WRITE, anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
	unsigned char *closed = map(both, anonymous, -1), *sealed = map(both, anonymous, -1);
	unsigned char *shared = map(both, MAP_SHARED | MAP_ANONYMOUS, -1), *copy, *whole, *gone;
	unsigned char *code = map(both, anonymous, -1), *empty = map(PROT_NONE, anonymous, -1);
	int fd = open("data", O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
	static unsigned char bytes[22 * PAGE + 23];

	fill(bytes, sizeof(bytes), 1);
	must(fd >= 0 && write(fd, bytes, sizeof(bytes)) == sizeof(bytes));
	copy = map(both, MAP_PRIVATE, fd);
	whole = map(both, MAP_SHARED, fd);
	fill(closed, 23 * PAGE, 2);
	fill(sealed, 23 * PAGE, 3);
	fill(shared, 23 * PAGE, 4);
	fill(copy + PAGE, PAGE, 5);
	fill(code, 23 * PAGE, 6);
	must(mprotect(closed, 23 * PAGE, PROT_NONE) == 0);
	must(mprotect(sealed, 23 * PAGE, PROT_READ) == 0);
	must(mprotect(code, 23 * PAGE, PROT_READ | PROT_EXEC) == 0);
	gone = map(both, anonymous, -1);
	must(munmap(gone, 23 * PAGE) == 0);
	say("ready");
	wait_for_finish();
	expect_permissions(closed, "---p");
	expect_permissions(sealed, "r--p");
	expect_permissions(shared, "rw-s");
	expect_permissions(copy, "rw-p");
	expect_permissions(whole, "rw-s");
	expect_permissions(code, "r-xp");
	expect_permissions(empty, "---p");
	must(mprotect(closed, 23 * PAGE, PROT_READ) == 0 &&
	     mprotect(empty, 23 * PAGE, PROT_READ) == 0);
	check(is_filled(closed, 23 * PAGE, 2) && is_filled(sealed, 23 * PAGE, 3));
	check(is_filled(shared, 23 * PAGE, 4) && is_filled(code, 23 * PAGE, 6));
	check(is_filled(copy + PAGE, PAGE, 5) && !memcmp(copy, bytes, PAGE));
	check(!memcmp(copy + 2 * PAGE, bytes + 2 * PAGE, 20 * PAGE + 23));
	check(!memcmp(whole, bytes, sizeof(bytes)));
	for (size_t i = 0; i < 23 * PAGE; i++)
		check(empty[i] == 0);
}

/* A mapping that is longer than its file, as databases have them: the file grows later. */
static void beyond_the_end(void)
{
	int fd = open("grows", O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
	unsigned char *memory, byte = 0;

	must(fd >= 0 && ftruncate(fd, 2 * PAGE) == 0);
	memory = map(PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	fill(memory, 2 * PAGE, 1);
	say("ready");
	wait_for_finish();
	check(is_filled(memory, 2 * PAGE, 1));
	must(ftruncate(fd, 4 * PAGE) == 0 && pwrite(fd, "a", 1, 2 * PAGE) == 1);
	memory[3 * PAGE] = 'b';
	check(memory[2 * PAGE] == 'a');
	check(pread(fd, &byte, 1, 3 * PAGE) == 1 && byte == 'b');
}

/* Shared mappings of files that are read-only for the moment, as write barriers are. */
static void protected_for_now(void)
{
	int fd = open("part", O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600), whole_fd;
	unsigned char *part, *whole, bytes[2] = {0};

	must(fd >= 0 && ftruncate(fd, 23 * PAGE) == 0);
	part = map(PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	must(close(fd) == 0 && mprotect(part, PAGE, PROT_READ) == 0);
	whole_fd = open("whole", O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
	must(whole_fd >= 0 && ftruncate(whole_fd, 23 * PAGE) == 0);
	whole = map(PROT_READ | PROT_WRITE, MAP_SHARED, whole_fd);
	must(mprotect(whole, 23 * PAGE, PROT_NONE) == 0);
	say("ready");
	wait_for_finish();
	check(mprotect(part, PAGE, PROT_READ | PROT_WRITE) == 0);
	check(mprotect(whole, 23 * PAGE, PROT_READ | PROT_WRITE) == 0);
	*part = *whole = 23;
	fd = open("part", O_RDONLY | O_CLOEXEC);
	must(fd >= 0 && read(fd, bytes, 1) == 1 && pread(whole_fd, bytes + 1, 1, 0) == 1);
	check(bytes[0] == 23 && bytes[1] == 23);
}

static void make_file(const char *name)
{
	int fd = open(name, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);

	must(fd >= 0 && ftruncate(fd, 23 * PAGE) == 0 && close(fd) == 0);
}

/* What /proc says of the name of the one is the name of the other. */
static void newline(void)
{
	unsigned char *memory, byte = 0;
	int fd;

	make_file("a\nb");
	make_file("a\\012b");
	fd = open("a\nb", O_RDWR | O_CLOEXEC);
	must(fd >= 0);
	memory = map(PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	must(close(fd) == 0);
	say("ready");
	wait_for_finish();
	memory[0] = 23;
	fd = open("a\nb", O_RDONLY | O_CLOEXEC);
	check(fd >= 0 && read(fd, &byte, 1) == 1 && byte == 23 && close(fd) == 0);
	fd = open("a\\012b", O_RDONLY | O_CLOEXEC);
	check(fd >= 0 && read(fd, &byte, 1) == 1 && byte == 0 && close(fd) == 0);
}

static unsigned long shared_kib(void)
{
	unsigned long kib = 0;
	char line[256];
	FILE *f = fopen("/proc/self/status", "re");

	must(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "RssShmem: %lu", &kib) == 1)
			break;
	}
	(void)fclose(f);
	return kib;
}

/* Much more shared memory than is used. To save it must not make the kernel allocate the rest. */
static void sparse(void)
{
	const size_t bytes = (size_t)230 << 20, places[] = {0, bytes / 2, bytes - PAGE};
	unsigned char *memory[2];
	int fd = memfd_create("sparse", MFD_CLOEXEC);

	must(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0);
	memory[0] = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	memory[1] = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(memory[0] != MAP_FAILED && memory[1] != MAP_FAILED && close(fd) == 0);
	for (size_t i = 0; i < 6; i++)
		fill(memory[i % 2] + places[i / 2], PAGE, i);
	must(madvise(memory[0] + places[1], PAGE, MADV_REMOVE) == 0);
	say("ready");
	wait_for_finish();
	check(shared_kib() < 1024);
	for (size_t i = 0; i < 6; i++)
		check(i == 2 || is_filled(memory[i % 2] + places[i / 2], PAGE, i));
	for (size_t i = 0; i < PAGE; i++)
		check(memory[0][places[1] + i] == 0);
}

/* Shared memory that changes with private memory all the time: an image has both of one moment. */
static void together(void)
{
	const int both = PROT_READ | PROT_WRITE;
	const size_t bytes = work_number << 20; /* so that to write them takes a while */
	volatile uint64_t *shared = mmap(NULL, PAGE, both, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int fd = memfd_create("together", MFD_CLOEXEC);
	volatile uint64_t *named, count = 0;
	void *heap = malloc(bytes + 1);

	must(shared != MAP_FAILED && fd >= 0 && ftruncate(fd, PAGE) == 0 && heap);
	named = mmap(NULL, PAGE, both, MAP_SHARED, fd, 0);
	must(named != MAP_FAILED && close(fd) == 0);
	fill(heap, bytes, 1);
	say("ready");
	do {
		check(*shared == count && *named == count);
		*named = *shared = ++count;
	} while (count % 23 || !must_finish());
	check(is_filled(heap, bytes, 1));
	free(heap);
}

/* Memory that a protection key closes, as it does in each signal handler. */
static void keys(void)
{
	unsigned char *memory = map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	int key = pkey_alloc(0, 0);

	fill(memory, 23 * PAGE, 1);
	if (key < 0 || pkey_mprotect(memory, 23 * PAGE, PROT_READ | PROT_WRITE, key) < 0) {
		say("no keys");
		return;
	}
	must(pkey_set(key, PKEY_DISABLE_ACCESS) == 0);
	say("ready");
	wait_for_finish();
	check(pkey_get(key) == PKEY_DISABLE_ACCESS);
	must(pkey_set(key, 0) == 0);
	check(is_filled(memory, 23 * PAGE, 1));
}

/* Guards, which kill whoever touches them, among pages that are written all the time. They come
 * back as memory, so they are not looked at. */
static void guards(void)
{
	unsigned char *memory = map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	uint64_t turn = 0;

	fill(memory, 23 * PAGE, 1);
	if (madvise(memory + 3 * PAGE, 2 * PAGE, MADV_GUARD_INSTALL) ||
	    madvise(memory + 22 * PAGE, PAGE, MADV_GUARD_INSTALL)) {
		say("no guards");
		return;
	}
	say("ready");
	do {
		fill(memory + 5 * PAGE, PAGE, ++turn);
	} while (!must_finish());
	fill(memory + 5 * PAGE, PAGE, 1 + 5 * PAGE / 8);
	check(is_filled(memory, 3 * PAGE, 1));
	check(is_filled(memory + 5 * PAGE, 17 * PAGE, 1 + 5 * PAGE / 8));
}

const struct work_scene work_kernel[] = {
	{"lines", lines},
	{"files", files},
	{"writes", writes},
	{"signals", signals},
	{"mappings", mappings},
	{"beyond-the-end", beyond_the_end},
	{"protected", protected_for_now},
	{"newline", newline},
	{"sparse", sparse},
	{"together", together},
	{"guards", guards},
	{"keys", keys},
	{"interrupts", interrupted_once},
	{"timer", timer},
	{"timers", all_timers},
	{"clocks", clocks},
	{"altstack", on_altstack_alone},
	{"altstack2", on_altstack_of_two},
	{NULL, NULL},
};
