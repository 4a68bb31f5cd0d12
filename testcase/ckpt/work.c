/* SPDX-License-Identifier: BSD-2-Clause
 *
 * work SCENE [NUMBER]: programs whose image is taken and which are brought back, played by scene.sh.
 * Each builds a state, says "ready", goes on until a file "finish" is there, checks everything it
 * had, and says "ok". While it waits it makes a file "alive".
 * `work list` names the scenes. Exit status: 0 right, 1 the state is wrong, 2 it could not run.
 */
#include <errno.h>
#include <fcntl.h>
#include <immintrin.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096UL

enum { WRONG = 1, BROKEN = 2, THREADS = 8, FRAME = 512 };

static unsigned long number; /* from the command line */

__attribute__((format(printf, 2, 3), noreturn)) static void end(int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	(void)fflush(stdout);
	_exit(status);
}

#define must(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			end(BROKEN, "%s:%d: %s: %m\n", __FILE__, __LINE__, #condition);            \
	} while (0)

#define check(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			end(WRONG, "%s:%d: wrong: %s (errno %d)\n", __FILE__, __LINE__,            \
			    #condition, errno);                                                    \
	} while (0)

static void say(const char *text)
{
	printf("%s\n", text);
	must(fflush(stdout) == 0);
}

/* Has somebody asked us to finish? */
static int must_finish(void)
{
	/* A link and no file: an open file would be in the image, and must be there later. */
	must(symlink("finish", "alive") == 0 || errno == EEXIST);
	return access("finish", F_OK) == 0;
}

static void wait_for_finish(void)
{
	while (!must_finish())
		(void)usleep(10000); /* a signal only makes it shorter */
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 31)) * 0x9e3779b97f4a7c15;
	return x ^ (x >> 29);
}

static void fill(void *memory, size_t bytes, uint64_t seed)
{
	uint64_t *words = memory;

	for (size_t i = 0; i < bytes / 8; i++)
		words[i] = mix(seed + i);
}

static int is_filled(const void *memory, size_t bytes, uint64_t seed)
{
	const uint64_t *words = memory;

	for (size_t i = 0; i < bytes / 8; i++) {
		if (words[i] != mix(seed + i))
			return 0;
	}
	return 1;
}

/* ---- one thread ---- */

static void count(void)
{
	static uint64_t hashes[2300]; /* of the last steps */
	uint64_t value = 23, steps = 0;

	say("ready");
	while (steps < 23000 || !must_finish()) {
		hashes[steps++ % 2300] = value;
		value = mix(value);
		if (steps % 1000 == 0)
			(void)usleep(1000);
	}
	for (uint64_t again = 23, i = 0; i < steps; i++, again = mix(again))
		check(steps - i > 2300 || hashes[i % 2300] == again);
}

__attribute__((noinline)) static unsigned int descend(unsigned int depth, unsigned int bottom)
{
	volatile unsigned char frame[FRAME];
	unsigned int below;

	for (size_t i = 0; i < FRAME; i++)
		frame[i] = (unsigned char)(depth + i);
	if (depth == bottom) {
		if (bottom == number) {
			say("ready");
			wait_for_finish();
			/* the stack still grows */
			check(descend(1, 4 * bottom) == 4 * bottom);
		}
		return depth;
	}
	below = descend(depth + 1, bottom);
	for (size_t i = 0; i < FRAME; i++)
		check(frame[i] == (unsigned char)(depth + i));
	return below;
}

static void recursion(void)
{
	number = number ? number : 2300;
	check(descend(0, (unsigned int)number) == number);
}

static __thread uint64_t local = 23, locals[230];

static void tls(void)
{
	const uint64_t *address = locals;

	for (unsigned int i = 0; i < 230; i++)
		locals[i] = mix(i);
	local = 2323;
	say("ready");
	do {
		errno = EXDEV;
		for (volatile unsigned int i = 0; i < 3000000; i++)
			;
		check(errno == EXDEV);
	} while (!must_finish());
	check(local == 2323 && address == locals);
	for (unsigned int i = 0; i < 230; i++)
		check(locals[i] == mix(i));
}

/* Loads all sixteen registers, spins, and stores them: the checkpoint comes in between. */
__attribute__((target("avx"))) static void spin_with_avx(const unsigned char *in,
							 unsigned char *out)
{
	uint64_t turns = 5000000;

#define LOAD(n)  "vmovdqu " #n "*32(%1), %%ymm" #n "\n\t"
#define STORE(n) "vmovdqu %%ymm" #n ", " #n "*32(%2)\n\t"
#define ALL(x)   x(0) x(1) x(2) x(3) x(4) x(5) x(6) x(7) x(8) x(9) x(10) x(11) x(12) x(13) x(14) x(15)
	__asm__ volatile(ALL(LOAD) "1: dec %0\n\tjnz 1b\n\t" ALL(STORE) "vzeroupper"
			 : "+r"(turns)
			 : "r"(in), "r"(out)
			 : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
			   "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
			   "xmm15");
}

static void avx(void)
{
	unsigned char in[512], out[512];
	uint64_t turn = 0;

	must(__builtin_cpu_supports("avx"));
	say("ready");
	do {
		fill(in, sizeof(in), turn++);
		spin_with_avx(in, out);
		check(memcmp(in, out, sizeof(in)) == 0);
	} while (!must_finish());
}

/* Signals interrupt a sleep: nanosleep(2) says EINTR, here and in the process brought back. */
static void in_sleep(void)
{
	const struct timespec long_time = {.tv_sec = 1000};

	say("ready");
	check(nanosleep(&long_time, NULL) == -1 && errno == EINTR);
	say("interrupted");
	wait_for_finish();
}

/* A read that waits is begun anew. The pipe is not brought back, so then it has nothing to read. */
static void in_read(void)
{
	int ends[2];
	char byte;

	must(pipe2(ends, O_CLOEXEC) == 0);
	say("ready");
	check(read(ends[0], &byte, 1) == -1 && errno == EBADF);
	say("the pipe is closed");
	wait_for_finish();
}

static void heap(void)
{
	size_t bytes = (number ? number : 64) << 20;
	unsigned char *memory = malloc(bytes), *more;

	must(memory);
	fill(memory, bytes, 23);
	memset(memory + bytes / 2 / PAGE * PAGE, 0, 23 * PAGE);
	say("ready");
	wait_for_finish();
	check(is_filled(memory, bytes / 2 / PAGE * PAGE, 23));
	for (size_t i = 0; i < 23 * PAGE; i++)
		check(memory[bytes / 2 / PAGE * PAGE + i] == 0);
	check(is_filled(memory + bytes / 2 / PAGE * PAGE + 23 * PAGE,
			bytes - bytes / 2 / PAGE * PAGE - 23 * PAGE,
			23 + (bytes / 2 / PAGE + 23) * PAGE / 8));
	free(memory);
	more = malloc(bytes / 2); /* malloc still works */
	must(more);
	memset(more, 23, bytes / 2);
	free(more);
}

static void brk_area(void)
{
	unsigned char *start = sbrk(23 * PAGE);

	must(start != (void *)-1);
	fill(start, 23 * PAGE, 23);
	say("ready");
	wait_for_finish();
	check(sbrk(0) == start + 23 * PAGE && is_filled(start, 23 * PAGE, 23));
	check(sbrk(230 * PAGE) == start + 23 * PAGE);
	fill(start, 253 * PAGE, 24);
	check(sbrk(-200 * (intptr_t)PAGE) == start + 253 * PAGE && sbrk(0) == start + 53 * PAGE);
}

enum { STEPS = 5 };

/* A step ends when there is a file of its name. */
static void end_step(unsigned int step)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "step %u", step);
	say(name);
	(void)snprintf(name, sizeof(name), "step%u", step);
	while (step < STEPS && access(name, F_OK) != 0)
		(void)usleep(10000);
}

/* Memory that changes in each of five steps, in all ways that memory can. Then all of it is compared
 * with a copy that is made anew. */
static void changes(void)
{
	enum { PAGES = 2300 };
	const int both = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS;
	unsigned char *memory = mmap(NULL, PAGES * PAGE, both, flags, -1, 0);
	unsigned char *expected = mmap(NULL, PAGES * PAGE, both, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	must(memory != MAP_FAILED && expected != MAP_FAILED);
	fill(memory, PAGES * PAGE, 1);
	for (unsigned int step = 0; step <= STEPS; step++) {
		unsigned char *part = memory + (size_t)step * 300 * PAGE;

		for (size_t i = step; i < PAGES; i += 101)
			memory[i * PAGE + step] ^= 0xff;
		must(madvise(part, 23 * PAGE, MADV_DONTNEED) == 0);
		must(mmap(part + 40 * PAGE, 23 * PAGE, both, flags | MAP_FIXED, -1, 0) !=
		     MAP_FAILED);
		fill(part + 50 * PAGE, PAGE, step);
		memset(part + 70 * PAGE, 0, 5 * PAGE);
		must(mremap(part + 90 * PAGE, 7 * PAGE, 7 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			    part + 100 * PAGE) != MAP_FAILED);
		must(mmap(part + 90 * PAGE, 7 * PAGE, both, flags | MAP_FIXED, -1, 0) !=
		     MAP_FAILED);
		memcpy(expected, memory, PAGES * PAGE);
		end_step(step);
	}
	wait_for_finish();
	check(memcmp(memory, expected, PAGES * PAGE) == 0);
}

/* Huge pages, where there are any, of which each step writes a little everywhere: one small page of
 * a hundred. */
static void scattered(void)
{
	enum { PAGES = 8192, HUGE = 512 };
	const size_t bytes = PAGES * PAGE;
	unsigned char *memory = mmap(NULL, bytes + HUGE * PAGE, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(memory != MAP_FAILED);
	memory += (HUGE * PAGE - (uintptr_t)memory % (HUGE * PAGE)) % (HUGE * PAGE);
	must(madvise(memory, bytes, MADV_HUGEPAGE) == 0 || errno == EINVAL);
	fill(memory, bytes, 23);
	for (unsigned int step = 0; step <= STEPS; step++) {
		for (size_t i = step; i < PAGES; i += 101)
			memory[i * PAGE] ^= 0xff;
		end_step(step);
	}
	wait_for_finish();
	for (unsigned int step = 0; step <= STEPS; step++)
		for (size_t i = step; i < PAGES; i += 101)
			memory[i * PAGE] ^= 0xff;
	check(is_filled(memory, bytes, 23));
}

/* Single pages so far apart that each is a segment, and each gap too: more than an image can have. */
static void apart(void)
{
	const size_t apart_by = 17UL << 20, pages = 33000;
	volatile unsigned char *memory = mmap(NULL, pages * apart_by, PROT_READ | PROT_WRITE,
					      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	must(memory != MAP_FAILED);
	must(madvise((void *)memory, pages * apart_by, MADV_NOHUGEPAGE) == 0 || errno == EINVAL);
	for (size_t i = 0; i < pages; i++)
		memory[i * apart_by] = 23;
	say("ready");
	wait_for_finish();
}

/* ---- what the kernel keeps ---- */

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
	const stack_t stack = {.ss_sp = altstack, .ss_size = 2 * frame + (number << 10)};

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

static void timer(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_NONE};
	timer_t id;

	must(timer_create(CLOCK_MONOTONIC, &event, &id) == 0);
	say("ready");
	wait_for_finish();
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

/* ---- several threads ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t next = PTHREAD_COND_INITIALIZER;
static unsigned long turn, rounds, stop_at = -1ul;
static uint64_t sums[THREADS];

/* In turns; each thread adds what only it knows. */
static void *take_turns(void *argument)
{
	const unsigned long me = (unsigned long)(uintptr_t)argument;

	local = mix(me);
	(void)pthread_mutex_lock(&lock);
	for (;;) {
		while (turn % THREADS != me && turn < stop_at)
			(void)pthread_cond_wait(&next, &lock);
		if (turn >= stop_at)
			break;
		check(local == mix(me) + rounds / THREADS);
		local++;
		sums[me] += local;
		turn++;
		rounds++;
		(void)pthread_cond_broadcast(&next);
		(void)pthread_mutex_unlock(&lock);
		for (volatile unsigned int i = 0; i < 3000; i++)
			;
		(void)pthread_mutex_lock(&lock);
	}
	(void)pthread_mutex_unlock(&lock);
	return argument;
}

static void *return_at_once(void *argument)
{
	return argument;
}

static void threads(void)
{
	pthread_t ids[THREADS], one_more;
	void *returned = NULL;
	unsigned long each;

	for (uintptr_t i = 0; i < THREADS; i++)
		must(pthread_create(&ids[i], NULL, take_turns, (void *)i) == 0);
	while (__atomic_load_n(&rounds, __ATOMIC_RELAXED) < 230)
		(void)usleep(1000);
	say("ready");
	wait_for_finish();
	(void)pthread_mutex_lock(&lock);
	stop_at = (turn / THREADS + 230) * THREADS;
	(void)pthread_mutex_unlock(&lock);
	for (uintptr_t i = 0; i < THREADS; i++)
		check(pthread_join(ids[i], &returned) == 0 && returned == (void *)i);
	each = turn / THREADS;
	for (unsigned long i = 0; i < THREADS; i++)
		check(sums[i] == each * mix(i) + each * (each + 1) / 2);
	check(pthread_create(&one_more, NULL, return_at_once, &turn) == 0);
	check(pthread_join(one_more, &returned) == 0 && returned == &turn);
	check(pthread_kill(pthread_self(), 0) == 0);
}

static void *wait_too(void *argument)
{
	while (access("finish", F_OK) != 0)
		(void)usleep(300000);
	return argument;
}

/* The main thread takes the image. What the C library notes there of its system calls is not in it.
 * It sleeps nowhere: that would tidy the note up. */
static void cancel(void)
{
	int type = -1;
	pthread_t id;

	must(pthread_create(&id, NULL, wait_too, NULL) == 0);
	say("ready");
	while (!must_finish()) {
		for (volatile unsigned int i = 0; i < 3000000; i++)
			;
	}
	check(pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &type) == 0);
	check(type == PTHREAD_CANCEL_DEFERRED);
	check(pthread_join(id, NULL) == 0);
}

static int wait_for_one_object(struct dl_phdr_info *info, size_t bytes, void *seen)
{
	(void)info;
	(void)bytes;
	if (++*(int *)seen == 1)
		wait_for_finish();
	return 0;
}

static int count_object(struct dl_phdr_info *info, size_t bytes, void *seen)
{
	(void)info;
	(void)bytes;
	++*(int *)seen;
	return 0;
}

static void *count_objects(void *argument)
{
	(void)dl_iterate_phdr(count_object, argument);
	return NULL;
}

/* In the middle of the loader, which has a lock that knows its thread; another one waits for it. */
static void loader(void)
{
	int seen = 0, seen_too = 0;
	pthread_t id;

	say("ready");
	(void)dl_iterate_phdr(wait_for_one_object, &seen);
	check(pthread_create(&id, NULL, count_objects, &seen_too) == 0);
	check(pthread_join(id, NULL) == 0 && seen == seen_too && seen > 0);
}

/* A thread that takes no signal: there is no image, and all goes on. */
static void *wait_deaf(void *argument)
{
	sigset_t all;

	(void)sigfillset(&all);
	must(pthread_sigmask(SIG_BLOCK, &all, NULL) == 0);
	say("ready");
	wait_for_finish();
	return argument;
}

static void deaf(void)
{
	pthread_t id;

	must(pthread_create(&id, NULL, wait_deaf, NULL) == 0);
	check(pthread_join(id, NULL) == 0);
}

/* One more than an image can have; they only wait to be gone. */
static void many_threads(void)
{
	enum { MANY = 4096 };
	pthread_attr_t attributes;
	pthread_t id;

	must(pthread_attr_init(&attributes) == 0 &&
	     pthread_attr_setstacksize(&attributes, 16 * PAGE) == 0);
	for (unsigned int i = 0; i < MANY; i++) {
		if (pthread_create(&id, &attributes, wait_too, NULL)) {
			say("too few");
			break;
		}
	}
	say("ready");
	wait_for_finish();
}

/* ---- children ---- */

static void *ask_often(void *argument)
{
	while (access("finish", F_OK) != 0)
		(void)pthread_kill(pthread_self(), SIGUSR2);
	return argument;
}

/* With CKPT_VERBOSE=1 libckpt says something about each image. */
static int is_answered(void)
{
	int fd = open("child.err", O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
	struct stat st;

	must(fd >= 0 && dup2(fd, STDERR_FILENO) == STDERR_FILENO);
	must(raise(SIGUSR2) == 0 && fstat(fd, &st) == 0);
	return st.st_size > 0;
}

/* Each child that is made while images are written can write one itself. */
static void forks(void)
{
	pthread_t id;

	must(pthread_create(&id, NULL, ask_often, NULL) == 0);
	for (int i = 0; i < 23; i++) {
		pid_t child = fork();
		int status = 0;

		must(child >= 0);
		if (child == 0)
			_exit(is_answered() ? 0 : WRONG);
		must(waitpid(child, &status, 0) == child);
		check(status == 0);
	}
	must(close(open("finish", O_CREAT | O_WRONLY | O_CLOEXEC, 0600)) == 0);
	check(pthread_join(id, NULL) == 0);
}

/* A child writes images to the same name, between two of its parent. */
static void family(void)
{
	int status = 0;
	pid_t child;

	must(raise(SIGUSR2) == 0);
	child = fork();
	must(child >= 0);
	if (child == 0) {
		must(raise(SIGUSR2) == 0 && raise(SIGUSR2) == 0);
		_exit(0);
	}
	must(waitpid(child, &status, 0) == child && status == 0);
	must(raise(SIGUSR2) == 0);
}

/* With CKPT_FORK: a child asks for an image after one that another child of its parent wrote. */
static void sisters(void)
{
	struct stat first, now;
	int status = 0;
	pid_t child;

	must(raise(SIGUSR2) == 0);
	while (stat("image", &first) < 0)
		(void)usleep(10000);
	child = fork();
	must(child >= 0);
	if (child == 0) {
		must(raise(SIGUSR2) == 0);
		do
			(void)usleep(10000);
		while (stat("image", &now) < 0 || now.st_ino == first.st_ino);
		_exit(0);
	}
	must(waitpid(child, &status, 0) == child && status == 0);
}

static const struct {
	const char *name;
	void (*play)(void);
} scenes[] = {
	{"count", count},
	{"recursion", recursion},
	{"tls", tls},
	{"avx", avx},
	{"sleep", in_sleep},
	{"read", in_read},
	{"heap", heap},
	{"brk", brk_area},
	{"files", files},
	{"signals", signals},
	{"mappings", mappings},
	{"threads", threads},
	{"changes", changes},
	{"scattered", scattered},
	{"deaf", deaf},
	{"forks", forks},
	{"family", family},
	{"cancel", cancel},
	{"sisters", sisters},
	{"apart", apart},
	{"many", many_threads},
	{"timer", timer},
	{"loader", loader},
	{"altstack", on_altstack_alone},
	{"altstack2", on_altstack_of_two},
};

int main(int argc, char **argv)
{
	static char buffer[BUFSIZ]; /* stdio shall not move brk by its malloc */

	must(setvbuf(stdout, buffer, _IOFBF, sizeof(buffer)) == 0);
	if (argc > 2)
		number = strtoul(argv[2], NULL, 10);
	for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
		if (argc > 1 && strcmp(argv[1], "list") == 0)
			printf("%s\n", scenes[i].name);
		if (argc < 2 || strcmp(argv[1], scenes[i].name) != 0)
			continue;
		scenes[i].play();
		say("ok");
		return 0;
	}
	return argc > 1 && strcmp(argv[1], "list") == 0 ? 0 : BROKEN;
}
