/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenes [SCENE [SEED]]: what a program can do between a checkpoint and a rollback, in TAP. Each
 * scene is a process of its own. It takes a checkpoint, and in each round does something and goes
 * back. Its parent compares all of its memory each time. Built for each way to link a program.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "rollback/rollback.h"
#include "whole_memory.h"

enum { ROUNDS = 7 };
#define PAGE  4096UL
#define BLOCK (67 * PAGE)

#pragma weak __rseq_offset

/* What parent and child share. No rollback changes it. */
static struct shared {
	struct whole_memory_view view;
	struct rollback *rollback;
	struct rollback_stats stats;
	int again, round, failed_line, finished;
	pid_t expected_pid;
} * shared;

static int to_parent[2], to_child[2];
static unsigned char *block, *second; /* BLOCK bytes, filled */
static unsigned char data[5 * PAGE] __attribute__((aligned(PAGE))) = {1};
static unsigned char bss[17 * PAGE];
static __thread int tls_number = 23;
static volatile sig_atomic_t signals;
static int file = -1;

#define check(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fail(__LINE__);                                                            \
	} while (0)

static void fail(int line)
{
	if (!shared->failed_line)
		shared->failed_line = line;
}

struct scene {
	const char *name;
	unsigned int flags;
	void (*begin)(void); /* may be NULL */
	void (*act)(int round);
	void (*verify)(void);                               /* after each rollback; may be NULL */
	void (*at_end)(const struct rollback_stats *stats); /* may be NULL */
};

static void *map(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	check(at != MAP_FAILED);
	return at;
}

static void fill(unsigned char *at, size_t bytes, unsigned int seed)
{
	for (size_t i = 0; i < bytes; i++)
		at[i] = (unsigned char)((i * 2654435761U + seed) >> 13);
}

/* ---- scenes ---- */

static void write_some(int round)
{
	data[round * 97L] ^= 0x55;
	bss[round * 1021L] += 3;
	block[round * 3571L] ^= 1;
	block[2 * PAGE + round] ^= 1;
	tls_number++;
	errno = round;
}

static void write_all(int round)
{
	(void)round;
	fill(block, BLOCK, (unsigned int)round);
	fill(second, BLOCK, (unsigned int)round);
	fill(bss, sizeof(bss), (unsigned int)round);
}

static void __attribute__((noinline)) use_stack(int round)
{
	unsigned char buffer[90000];

	fill(buffer, sizeof(buffer), (unsigned int)round);
	__asm__ volatile("" : : "r"(buffer) : "memory");
}

static void use_heap(int round)
{
	void *blocks[97];

	for (int i = 0; i < 97; i++) {
		const size_t bytes = (size_t)i * (size_t)i * 31 + (size_t)round + 1;

		blocks[i] = malloc(bytes);
		check(blocks[i]);
		memset(blocks[i], i, bytes);
	}
	for (int i = 0; i < 97; i += 2)
		free(blocks[i]);
	free(malloc(3 << 20));
}

static void move_break(int round)
{
	char *end = sbrk(0);

	if (round % 3 == 0) {
		check(sbrk(23 * PAGE) != (void *)-1);
		memset(end, 1, 23 * PAGE);
	} else if (round % 3 == 1) {
		check(brk(end - 5 * PAGE) == 0);
	} else {
		check(brk(end - 7 * PAGE) == 0 && brk(end + 3 * PAGE) == 0);
		memset(end - 7 * PAGE, 2, 10 * PAGE);
	}
}

static void grow_heap(int round)
{
	char *end = sbrk((round + 7) * (long)PAGE);

	check(end != (void *)-1);
	memset(end - 5 * PAGE, round, 12 * PAGE);
}

static void begin_break(void)
{
	char *end = sbrk(11 * PAGE);

	memset(end, 3, 11 * PAGE);
}

static void map_more(int round)
{
	fill(map((size_t)(round + 1) * PAGE), PAGE, 3);
	check(mmap(block + BLOCK + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
	      MAP_FAILED);
	check(mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) !=
	      MAP_FAILED);
}

static void unmap_some(int round)
{
	check(munmap(block + (size_t)(round % 60) * PAGE, 5 * PAGE) == 0);
	if (round % 2)
		check(munmap(second, BLOCK) == 0);
}

static void replace(int round)
{
	check(mmap(block + (size_t)(round % 60) * PAGE, 5 * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
	if (round % 2)
		check(mmap(second, BLOCK, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
	if (round % 3 == 0)
		second[round * PAGE] = 1;
}

static void protect(int round)
{
	block[5 * PAGE + round] = 1;
	check(mprotect(block + PAGE, 9 * PAGE, round % 2 ? PROT_READ : PROT_NONE) == 0);
	check(mprotect(second, BLOCK, PROT_READ | PROT_WRITE) == 0);
	second[round] = 1;
	if (round % 2)
		check(mprotect(second, BLOCK, PROT_READ) == 0);
}

static void begin_protect(void)
{
	check(mprotect(second, BLOCK, PROT_NONE) == 0);
}

static void reserve_use(int round)
{
	unsigned char *at = second + (size_t)round * PAGE;

	check(mprotect(at, 2 * PAGE, PROT_READ | PROT_WRITE) == 0);
	check(at[0] == 0 && at[PAGE] == 0);
	memset(at, 1, 2 * PAGE);
	if (round % 2)
		check(mprotect(at, 2 * PAGE, PROT_NONE) == 0);
}

static void begin_reserve(void)
{
	check(munmap(second, BLOCK) == 0);
	check(mmap(second, BLOCK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
	      second);
}

static void move(int round)
{
	unsigned char *moved = mremap(block, BLOCK, BLOCK + (size_t)round * PAGE, MREMAP_MAYMOVE);

	check(moved != MAP_FAILED);
	moved[round] ^= 1;
	check(mremap(second, BLOCK, 3 * PAGE, 0) == second);
	if (round % 2)
		block = map(BLOCK);
}

/* A part that is mapped again is one mapping with the rest, which mremap(2) asks for. */
static void move_whole(int round)
{
	if (round % 2)
		check(mremap(block, BLOCK, 2 * BLOCK, MREMAP_MAYMOVE) != MAP_FAILED);
	else
		check(munmap(block + (size_t)(round + 23) * PAGE, PAGE) == 0);
}

static void discard(int round)
{
	unsigned char *at = block + (size_t)round * PAGE;
	volatile unsigned char sum = 0;

	check(madvise(at, 7 * PAGE, MADV_DONTNEED) == 0);
	if (round % 3 == 0)
		for (int i = 0; i < 7; i++)
			sum += at[i * PAGE];
	check(sum == 0);
	if (round % 3 == 1)
		at[3 * PAGE] = 1;
	if (round % 5 == 0)
		check(madvise(second, BLOCK, MADV_DONTNEED) == 0);
	check(madvise(data + PAGE, 2 * PAGE, MADV_DONTNEED) == 0);
}

static void use_absent(int round)
{
	bss[3 * PAGE + round] = 1;
	bss[(round % 13) * PAGE] = 1;
	second[5 * PAGE] = second[9 * PAGE] = 1;
}

static void begin_absent(void)
{
	check(madvise(second, BLOCK, MADV_DONTNEED) == 0);
	second[9 * PAGE] = 2;
}

static void begin_file(void)
{
	char path[] = "/tmp/rollback-scene.XXXXXX";
	unsigned char bytes[PAGE];

	file = mkstemp(path);
	check(file >= 0);
	for (unsigned int i = 0; i < 30; i++) {
		fill(bytes, PAGE, i);
		check(write(file, bytes, PAGE) == PAGE);
	}
	check(munmap(second, BLOCK) == 0);
	check(mmap(second, 30 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, file, 0) ==
	      second);
	for (size_t i = 0; i < 10; i++)
		second[i * PAGE] ^= 1;
	check(unlink(path) == 0);
}

static void use_file(int round)
{
	volatile unsigned char c;

	second[round * PAGE] ^= 3;
	if (round % 3 == 0)
		check(madvise(second, 15 * PAGE, MADV_DONTNEED) == 0);
	c = second[2 * PAGE];
	(void)c;
	second[PAGE] ^= 1;
}

static const char *own_path;

static void unmap_file(int round)
{
	second[round] ^= 1;
	check(munmap(second, (round % 2 ? 3 : 1) * PAGE) == 0);
}

static void begin_unmap_file(void)
{
	int fd = open(own_path, O_RDONLY | O_CLOEXEC);

	check(munmap(second, BLOCK) == 0);
	check(mmap(second, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0) ==
	      second);
	check(close(fd) == 0);
	second[0] ^= 1;
}

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
	data[7]++;
	rollback__back(shared->rollback);
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
	block[round] ^= 1;
	*(volatile int *)(uintptr_t)(round + 23) = 1;
	fail(__LINE__);
}

/* The kernel's writes to an armed page. */
static void read_into(int round)
{
	int ends[2];

	check(pipe(ends) == 0);
	check(write(ends[1], data, 3000) == 3000);
	check(read(ends[0], block + round * PAGE + 2000, 3000) == 3000);
	check(close(ends[0]) == 0 && close(ends[1]) == 0);
}

static void open_files(int round)
{
	check(lseek(file, round, SEEK_SET) == round);
	check(open("/dev/null", O_RDONLY) >= 0);
	check(dup2(file, 300 + round) == 300 + round);
}

static void verify_files(void)
{
	check(lseek(file, 0, SEEK_CUR) == 30 * PAGE);
	for (int fd = 300; fd < 300 + ROUNDS; fd++)
		check(fcntl(fd, F_GETFD) < 0);
	check(fcntl(to_parent[1], F_GETFD) >= 0);
}

static void keep(int round)
{
	block[5 * PAGE + 100] = (unsigned char)round;
	block[5 * PAGE + 99] = (unsigned char)round;
	block[6 * PAGE - 1] = (unsigned char)round;
	block[6 * PAGE] = (unsigned char)round;
}

static void verify_kept(void)
{
	if (shared->round > 0)
		check(block[5 * PAGE + 100] == shared->round - 1 &&
		      block[6 * PAGE - 1] == shared->round - 1);
}

static void begin_kept(void)
{
	shared->view.ignored[shared->view.ignored_count++] = (struct whole_memory_range){
		(uintptr_t)block + 5 * PAGE + 100, (uintptr_t)block + 6 * PAGE};
}

static void huge_write(int round)
{
	second[(size_t)round * 111111] ^= 1;
}

static void begin_huge(void)
{
	second = map(8 << 20);
	second = (unsigned char *)(((uintptr_t)second + (2 << 20) - 1) & ~((2UL << 20) - 1));
	check(madvise(second, 4 << 20, MADV_HUGEPAGE) == 0);
	fill(second, 4 << 20, 5);
}

static void begin_large(void)
{
	second = map(7 << 20);
	fill(second, 5 << 20, 6);
}

/* Whole page tables go. */
static void discard_large(int round)
{
	second[(size_t)round * 511111] ^= 1;
	check(madvise(second + (size_t)round * PAGE, 3 << 20, MADV_DONTNEED) == 0);
	if (round % 2)
		second[(size_t)round * 311111] ^= 1;
	second[(6 << 20) + round] = 1;
}

static void replace_large(int round)
{
	void *at = second + ((size_t)round << 19);

	check(mmap(at, 2 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		   0) == at);
	second[(size_t)round * 511111] ^= 1;
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
		check(pthread_create(&thread, NULL, run_thread, block + (i * 3 + round) * PAGE) ==
		      0);
	usleep(1000);
}

static void verify_threads(void)
{
	check(shared->round == 0 ||
	      rollback__stats(shared->rollback)->ended_threads == 3 * (uint64_t)shared->round);
}

static void close_all(int round)
{
	block[round * PAGE] ^= 1;
	for (int fd = 20; fd < 1000; fd++)
		(void)close(fd);
	block[3 * PAGE] ^= 1;
}

static void take_inner(int round)
{
	struct rollback *inner = NULL;
	volatile int count = 0;
	int *kept = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	block[round * PAGE + 9] ^= 1;
	check(kept != MAP_FAILED);
	kept[1] = rollback__take(&inner, NULL);
	check(kept[1] == (kept[0] > 0));
	check(count == 0 && block[5 * PAGE] == block[5 * PAGE + 1]);
	count = count + 1;
	block[5 * PAGE]++;
	block[7 * PAGE + round]++;
	if (kept[0]++ < 3)
		rollback__back(inner);
	if (round % 2)
		rollback__free(inner);
}

static void begin_inner(void)
{
	block[5 * PAGE] = block[5 * PAGE + 1];
}

static void restore_only(int round)
{
	unsigned char on_stack[PAGE];
	const unsigned char old = block[3 * PAGE + round];

	memset(on_stack, round, sizeof(on_stack));
	block[3 * PAGE + round] ^= 1;
	check(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	check(rollback__restore(shared->rollback) == 0);
	check(block[3 * PAGE + round] == old);
	for (size_t i = 0; i < sizeof(on_stack); i++)
		check(on_stack[i] == round);
	block[3 * PAGE + round] ^= 1;
}

static void fork_child(int round)
{
	pid_t pid;

	block[round] ^= 1;
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		block[PAGE + round] ^= 1;
		shared->expected_pid = getpid();
		rollback__back(shared->rollback); /* from now on, the child is watched */
	}
	check(pid > 0);
	for (;;)
		pause();
}

static void verify_fork(void)
{
	if (shared->round > 0) {
		check(getpid() == shared->expected_pid);
		check(pthread_kill(pthread_self(), 0) == 0);
	}
}

/* ---- steps by chance ---- */

enum { STEPS = 61, POOL_PAGES = 301 };
static uint64_t seed = 23, random_state;
/* Linux 6.18 never ends to install one where a page of a file was armed and discarded. */
static bool with_guards;

/* splitmix64, https://prng.di.unimi.it/splitmix64.c */
static uint64_t next_random(void)
{
	uint64_t z = (random_state += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static uint64_t below(uint64_t limit)
{
	return next_random() % limit;
}

/* The pool has mappings of several kinds. */
static void begin_steps(void)
{
	/* a file that has a name still */
	file = open(own_path, O_RDONLY | O_CLOEXEC);
	check(file >= 0);
	second = map(POOL_PAGES * PAGE);
	fill(second, 150 * PAGE, 7);
	check(mprotect(second + 30 * PAGE, 7 * PAGE, PROT_READ) == 0);
	check(mprotect(second + 200 * PAGE, 40 * PAGE, PROT_NONE) == 0);
	check(mmap(second + 100 * PAGE, 15 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
		   file, 0) == second + 100 * PAGE);
	second[103 * PAGE] = second[107 * PAGE] = 1;
}

static void begin_guards(void)
{
	begin_steps();
	with_guards = true;
	check(mmap(second + 100 * PAGE, 15 * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == second + 100 * PAGE);
	(void)madvise(second + 60 * PAGE, 9 * PAGE, 102);
}

/* Writes where that may not be allowed: the kernel says so, and no signal comes. */
static void write_anywhere(unsigned char *at, size_t bytes)
{
	(void)!pread(file, at, bytes, (off_t)below(10 * PAGE));
}

static void take_step(unsigned char *at, size_t bytes)
{
	static const int protections[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE,
					  PROT_READ | PROT_EXEC};
	const int protection = protections[below(4)];
	const int anonymous = MAP_PRIVATE | MAP_ANONYMOUS;

	switch (below(13)) {
	case 0:
		(void)munmap(at, bytes);
		break;
	case 1:
		(void)mmap(at, bytes, protection, anonymous | MAP_FIXED, -1, 0);
		break;
	case 2:
		(void)mmap(NULL, bytes, protection, anonymous, -1, 0);
		break;
	case 3:
		(void)mprotect(at, bytes, protection);
		break;
	case 4:
		(void)madvise(at, bytes, MADV_DONTNEED);
		break;
	case 5:
		(void)mremap(at, bytes, bytes + below(3) * PAGE, MREMAP_MAYMOVE);
		break;
	case 6:
		(void)mremap(at, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			     second + below(POOL_PAGES) * PAGE);
		break;
	case 7:
		if (with_guards)
			(void)madvise(at, bytes, 102); /* MADV_GUARD_INSTALL */
		else
			(void)mmap(at, bytes, protection, MAP_PRIVATE | MAP_FIXED, file, 0);
		break;
	case 8:
		(void)msync(at, bytes, MS_ASYNC);
		break;
	case 9:
		(void)madvise(at, bytes, 103); /* MADV_GUARD_REMOVE */
		break;
	case 10:
		free(malloc(1 + below(300000)));
		free(realloc(malloc(1 + below(300)), 1 + below(90000)));
		break;
	default:
		write_anywhere(at + below(PAGE), 1 + below(bytes - PAGE + 1));
	}
}

static void steps(int round)
{
	random_state = seed * 1000 + (uint64_t)round;
	for (int i = 0; i < STEPS; i++) {
		const uint64_t page = below(POOL_PAGES), most = POOL_PAGES - page;

		take_step(second + page * PAGE, (1 + below(most < 17 ? most : 17)) * PAGE);
	}
	block[round] ^= 1;
}

#define PLAIN(function)                                                                            \
	{                                                                                          \
#function, 0, NULL, function, NULL, NULL                                           \
	}
#define BEGIN(function, begin)                                                                     \
	{                                                                                          \
#function, 0, begin, function, NULL, NULL                                          \
	}

static const struct scene scenes[] = {
	PLAIN(write_some),
	PLAIN(write_all),
	PLAIN(use_stack),
	PLAIN(use_heap),
	BEGIN(move_break, begin_break),
	PLAIN(map_more),
	PLAIN(unmap_some),
	PLAIN(replace),
	BEGIN(protect, begin_protect),
	BEGIN(reserve_use, begin_reserve),
	PLAIN(move),
	PLAIN(move_whole),
	PLAIN(discard),
	BEGIN(use_absent, begin_absent),
	BEGIN(use_file, begin_file),
	BEGIN(unmap_file, begin_unmap_file),
	{"change_signals", 0, begin_signals, change_signals, verify_signals, NULL},
	BEGIN(crash, begin_handler),
	PLAIN(read_into),
	{"open_files", ROLLBACK_CLOSE_NEW | ROLLBACK_OFFSETS, begin_file, open_files, verify_files,
	 NULL},
	{"keep", 0, begin_kept, keep, verify_kept, NULL},
	BEGIN(huge_write, begin_huge),
	{"make_threads", 0, NULL, make_threads, verify_threads, NULL},
	PLAIN(close_all),
	BEGIN(take_inner, begin_inner),
	PLAIN(restore_only),
	{"fork_child", 0, NULL, fork_child, verify_fork, NULL},
	{"fixed_mappings", ROLLBACK_FIXED_MAPPINGS, begin_break, write_some, NULL, NULL},
	{"fixed_state", ROLLBACK_FIXED_STATE, begin_break, write_some, NULL, NULL},
	{"fixed_break", ROLLBACK_FIXED_STATE, begin_break, grow_heap, NULL, NULL},
	{"fixed_discard", ROLLBACK_FIXED_STATE, begin_large, discard_large, NULL, NULL},
	{"fixed_file", ROLLBACK_FIXED_STATE, begin_file, use_file, NULL, NULL},
	BEGIN(steps, begin_steps),
	{"steps_guards", 0, begin_guards, steps, NULL, NULL},
	BEGIN(discard_large, begin_large),
	BEGIN(replace_large, begin_large),
};
enum { SCENES = sizeof(scenes) / sizeof(scenes[0]) };

/* ---- the two processes ---- */

static void look(void)
{
	char c = 0;

	(void)!write(to_parent[1], &c, 1);
	if (read(to_child[0], &c, 1) != 1)
		_exit(1);
}

static void __attribute__((noinline)) play(const struct scene *scene, enum rollback_way way)
{
	const struct rollback_options options = {scene->flags, way};

	shared->view.stack = (uintptr_t)__builtin_frame_address(0) - 16;
	shared->again = rollback__take(&shared->rollback, &options);
	if (shared->again < 0)
		_exit(-shared->again);
	shared->view.own = (uintptr_t)shared->rollback;
	check(shared->again == (shared->round > 0));
	if (shared->round == 0 && scene->begin == begin_kept)
		check(rollback__exclude(shared->rollback, block + 5 * PAGE + 100, PAGE - 100) == 0);
	look();
	if (scene->verify)
		scene->verify();
	if (shared->round == ROUNDS) {
		shared->stats = *rollback__stats(shared->rollback);
		rollback__free(shared->rollback);
		shared->finished = 1;
		(void)!write(to_parent[1], "", 1);
		_exit(0);
	}
	scene->act(shared->round++);
	rollback__back(shared->rollback);
}

static void begin_child(const struct scene *scene, enum rollback_way way)
{
	uint64_t self, tid_address = 0;

	__asm__("mov %%fs:0, %0" : "=r"(self));
	/* A child keeps its own number. */
	if (prctl(PR_GET_TID_ADDRESS, &tid_address) == 0)
		shared->view.ignored[shared->view.ignored_count++] =
			(struct whole_memory_range){tid_address, tid_address + 4};
	if (&__rseq_offset)
		shared->view.ignored[shared->view.ignored_count++] = (struct whole_memory_range){
			self + (uint64_t)__rseq_offset, self + (uint64_t)__rseq_offset + 32};
	block = map(BLOCK);
	second = map(BLOCK);
	fill(block, BLOCK, 1);
	fill(second, BLOCK, 2);
	(void)map(3 * PAGE);
	if (scene->begin)
		scene->begin();
	look(); /* once before the checkpoint: the first call of a function writes its address */
	play(scene, way);
}

static struct whole_memory first, now;

/* Waits for a sign of the child. A child that died in fork_child leaves others with the pipe. */
static bool hear(void)
{
	struct pollfd sign = {.fd = to_parent[0], .events = POLLIN};
	char c;

	return poll(&sign, 1, 60000) == 1 && read(to_parent[0], &c, 1) == 1;
}

static bool watch(pid_t pid)
{
	bool same = true;
	char c = 0;

	(void)hear();
	(void)!write(to_child[1], &c, 1);
	for (int round = 0; same && round <= ROUNDS && hear(); round++) {
		if (round > 0 && shared->expected_pid)
			pid = shared->expected_pid;
		whole_memory__read(round ? &now : &first, pid, &shared->view);
		if (round > 0) {
			same = whole_memory__same(&first, &now);
			whole_memory__free(&now);
		}
		if (!same)
			printf("# in round %d\n", round);
		(void)!write(to_child[1], &c, 1);
	}
	if (same)
		(void)hear(); /* it has finished */
	whole_memory__free(&first);
	return same;
}

static bool run(const struct scene *scene, enum rollback_way way)
{
	int status = 0;
	bool same;
	pid_t pid;

	memset(shared, 0, sizeof(*shared));
	if (pipe(to_parent) || pipe(to_child))
		abort();
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		(void)setpgid(0, 0);
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		begin_child(scene, way);
	}
	(void)setpgid(pid, pid);
	(void)close(to_parent[1]);
	(void)close(to_child[0]);
	same = watch(pid);
	(void)close(to_parent[0]);
	(void)close(to_child[1]);
	if (shared->expected_pid || !same)
		(void)kill(-pid, SIGKILL);
	(void)waitpid(pid, &status, 0);
	if (shared->failed_line)
		printf("# line %d: a check failed\n", shared->failed_line);
	if (!shared->finished)
		printf("# ended with status 0x%x in round %d\n", status, shared->round);
	if (scene->at_end && shared->finished)
		scene->at_end(&shared->stats);
	return same && !shared->failed_line && shared->finished;
}

static bool works(enum rollback_way way)
{
	struct rollback *rollback;
	const struct rollback_options options = {0, way};

	if (rollback__take(&rollback, &options) < 0)
		return false;
	rollback__free(rollback);
	return true;
}

int main(int argc, char **argv)
{
	static const char *const names[] = {"best", "protect", "soft-dirty", "compare"};
	int failed = 0, number = 0;

	own_path = argv[0];
	if (argc > 2)
		seed = strtoull(argv[2], NULL, 10);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		abort();
	for (int way = ROLLBACK_PROTECT; way <= ROLLBACK_COMPARE; way++) {
		if (!works((enum rollback_way)way)) {
			printf("ok %d - %s # SKIP the kernel does not have it\n", ++number,
			       names[way]);
			continue;
		}
		for (int i = 0; i < SCENES; i++) {
			bool ok;

			if (argc > 1 && strcmp(argv[1], scenes[i].name) != 0)
				continue;
			ok = run(&scenes[i], (enum rollback_way)way);
			failed += !ok;
			printf("%sok %d - %s, %s\n", ok ? "" : "not ", ++number, scenes[i].name,
			       names[way]);
			(void)fflush(stdout);
		}
	}
	printf("1..%d\n", number);
	return failed > 0;
}
