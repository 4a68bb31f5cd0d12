/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a target of listed.c does in a round, and how the list ends.
 */
#include "listed_acts.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pages/shared_list.h"
#include "../unit/random.h"
#include "own_tracer.h"

struct act_shared *act__shared;
const char *act__tracer;
unsigned char *act__large, *act__empty, *act__file;
pid_t act__target;

void act__need(bool condition, int line)
{
	if (!condition && !act__shared->failed_line)
		act__shared->failed_line = line;
}

void act__seed(uint64_t seed)
{
	random__seed(seed);
}

void act__write_same(void)
{
	for (size_t i = 0; i < 5; i++)
		act__large[i * 201 * PAGE + act__shared->round % PAGE]++;
}

void act__write_others(void)
{
	for (int i = 0; i < 7; i++)
		act__large[random__below(LARGE)]++;
	act__file[random__below(5 * PAGE)]++;
}

/* Fills one page that was empty, or many: with huge pages one fault fills 2 MiB. */
static void fill_empty(void)
{
	const size_t at = random__below(EMPTY), bytes = random__below(EMPTY - at) + 1;

	memset(act__empty + at, 0x5a, random__below(2) ? bytes : 1);
}

/* In a page that was act__empty, some bytes are excluded, so it stays. */
unsigned char *act__excluded(void)
{
	return act__empty + EMPTY - PAGE + 23;
}

static void write_around_excluded(void)
{
	act__excluded()[-1]++;
	act__excluded()[0]++;
	act__excluded()[1]++;
}

static void read_into(void)
{
	const int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	NEED(read(fd, act__large + random__below(500) * PAGE, 3 * PAGE) == (ssize_t)(3 * PAGE));
	(void)close(fd);
}

/* Faults that fail are listed, too. */
static void overflow(void)
{
	static const char text[PAGE] = "cannot be written";

	for (int i = 0; i <= SHARED_LIST_PAGES; i++)
		NEED(uname((struct utsname *)(uintptr_t)text) < 0);
	act__write_others();
}

static void write_vm(pid_t pid)
{
	unsigned char bytes[3] = {1, 2, 3};
	const struct iovec from = {bytes, sizeof(bytes)};
	const struct iovec to = {act__large + random__below(LARGE - sizeof(bytes)), sizeof(bytes)};

	NEED(process_vm_writev(pid, &from, 1, &to, 1, 0) == (ssize_t)sizeof(bytes));
}

static void write_own_vm(void)
{
	write_vm(getpid());
}

static void write_mem(void)
{
	const off_t at = (off_t)(uintptr_t)act__large + (off_t)random__below(LARGE - 3);
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/mem", act__target);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	NEED(pwrite(fd, "abc", 3, at) == 3);
	(void)close(fd);
}

static void take_from_outside(void)
{
	char command[4200];

	(void)snprintf(command, sizeof(command), "%s ctl %d checkpoint 1 >/dev/null 2>&1",
		       act__tracer, act__target);
	NEED(!system(command)); /* NOLINT(*-env33-c,*-ENV33-C) */
}

void act__help(void)
{
	int asked;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	while ((asked = __atomic_load_n(&act__shared->asked, __ATOMIC_ACQUIRE)) >= 0) {
		if (asked == 1)
			write_vm(act__target);
		else if (asked == 2)
			write_mem();
		else if (asked == 3)
			take_from_outside();
		if (asked)
			__atomic_store_n(&act__shared->asked, 0, __ATOMIC_RELEASE);
		(void)usleep(100);
	}
	_exit(0);
}

void act__ask(int what)
{
	__atomic_store_n(&act__shared->asked, what, __ATOMIC_RELEASE);
	while (__atomic_load_n(&act__shared->asked, __ATOMIC_ACQUIRE))
		(void)usleep(100);
}

static void be_written(void)
{
	act__ask(1);
}

static void be_debugged(void)
{
	act__ask(2);
}

/* The tracer must not arm pages that the process has written. */
static void be_saved(void)
{
	act__write_others();
	act__ask(3);
}

/* Not every file system has O_DIRECT. */
static void read_direct(void)
{
	unsigned char *to = act__large + random__below(500) * PAGE;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC | O_DIRECT);

	if (fd < 0 || read(fd, to, 2 * PAGE) != (ssize_t)(2 * PAGE))
		write_own_vm();
	if (fd >= 0)
		(void)close(fd);
}

void act__discard(void)
{
	NEED(!madvise(act__large + random__below(500) * PAGE, 17 * PAGE, MADV_DONTNEED));
	NEED(!madvise(act__large + PAGE * 512, 512 * PAGE, MADV_DONTNEED));
}

static void change_mappings(void)
{
	NEED(!munmap(act__large + 23 * PAGE, 5 * PAGE));
	NEED(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
	     MAP_FAILED);
	NEED(!mprotect(act__large + 97 * PAGE, PAGE, PROT_READ));
}

static void grow_heap(void)
{
	unsigned char *grown = sbrk((intptr_t)PAGE);

	*grown = 23;
}

/* The kernel grows a stack in a fault, without a sign. */
static void grow_stack(void)
{
	volatile unsigned char room[777 * 1024];

	for (size_t i = 0; i < sizeof(room); i += PAGE)
		room[sizeof(room) - 1 - i] = 1;
}

static void write_in_vfork(void)
{
	unsigned char *const at = act__large + random__below(LARGE);
	pid_t pid = vfork(); /* NOLINT(*vfork) */

	if (pid == 0) {
		++*at; /* NOLINT(*Vfork) */
		_exit(0);
	}
	(void)waitpid(pid, NULL, 0);
}

static void *write_in_thread(void *unused)
{
	(void)unused;
	act__write_others();
	return NULL;
}

static void make_thread(void)
{
	pthread_t thread;

	NEED(!pthread_create(&thread, NULL, write_in_thread, NULL));
	NEED(!pthread_join(thread, NULL));
}

/* Closes the userfaultfd, too: nothing is armed then. The library opens its files anew. */
static void close_files(void)
{
	NEED(!close_range(100, ~0U, 0));
	act__write_others();
}

/* The child goes back in itself, and has no list. */
static void go_back_in_child(void)
{
	int status;
	pid_t pid;

	act__shared->is_child = true;
	pid = fork();
	act__write_others();
	if (pid == 0)
		rollback__back(act__shared->rollback);
	NEED(waitpid(pid, &status, 0) == pid && status == 0);
	act__shared->is_child = false;
}

/* A checkpoint inside the other one arms its pages anew. */
static void nest(void)
{
	const struct rollback_options options = {.way = ROLLBACK_LIST};
	struct rollback *inner;
	int again;

	act__write_others();
	again = rollback__take(&inner, &options);
	NEED(again >= 0);
	act__write_others();
	if (!again)
		rollback__back(inner);
	act__write_others();
}

static void do_something(void)
{
	void (*const acts[])(void) = {act__write_same, act__write_others, fill_empty, read_into};

	for (uint64_t i = random__below(4); i < 4; i++)
		acts[random__below(4)]();
}

/* ---- the end of the list ---- */

static void kill_tracer(void)
{
	own_tracer__end(act__shared->tracer, SIGKILL);
	act__write_others();
}

static void detach_tracer(void)
{
	act__write_others();
	own_tracer__end(act__shared->tracer, SIGTERM);
	act__write_others();
}

/* The kernel takes the pages when it likes. */
static void free_lazily(void)
{
	NEED(!madvise(act__empty, 5 * PAGE, MADV_FREE));
	act__write_others();
}

const struct act act__all[ACTS] = {
	{"the same pages are written", act__write_same, FOUND_LISTED, ACT_FIXED},
	{"other pages are written", act__write_others, FOUND_LISTED, ACT_FIXED},
	{"empty pages are filled", fill_empty, FOUND_LISTED, ACT_FIXED},
	{"a page with excluded bytes", write_around_excluded, FOUND_LISTED, ACT_FIXED},
	{"read(2)", read_into, FOUND_LISTED, ACT_FIXED},
	{"anything of these", do_something, FOUND_LISTED, ACT_FIXED},
	{"the list overflows", overflow, FOUND_BY_SCAN, ACT_FIXED | ACT_SLOW},
	{"process_vm_writev of another process", be_written, FOUND_BY_SCAN, ACT_FIXED},
	{"process_vm_writev of its own", write_own_vm, FOUND_BY_SCAN, ACT_FIXED},
	{"/proc/PID/mem", be_debugged, FOUND_BY_SCAN, ACT_FIXED},
	{"a checkpoint from outside", be_saved, FOUND_BY_SCAN, ACT_FIXED | ACT_SLOW},
	{"a read with O_DIRECT", read_direct, FOUND_BY_SCAN, ACT_FIXED},
	{"pages are discarded", act__discard, FOUND_BY_SCAN, ACT_FIXED},
	{"the heap grows", grow_heap, FOUND_BY_SCAN, ACT_FIXED},
	{"a child of vfork writes", write_in_vfork, FOUND_BY_SCAN, ACT_FIXED},
	{"the files of the library are closed", close_files, FOUND_BY_SCAN, ACT_FIXED},
	{"a child of fork goes back", go_back_in_child, FOUND_BY_SCAN, ACT_FIXED | ACT_SLOW},
	{"a checkpoint inside it", nest, FOUND_BY_SCAN, ACT_FIXED},
	{"mappings change", change_mappings, FOUND_BY_SCAN, 0},
	{"the stack grows", grow_stack, FOUND_LISTED, ACT_GROWS_STACK},
	{"a thread writes", make_thread, FOUND_BY_SCAN, 0},
};

const struct act act__ends[ENDS] = {
	{"the tracer is killed", kill_tracer, FOUND_BY_SCAN, ACT_FIXED},
	{"the tracer is detached", detach_tracer, FOUND_BY_SCAN, ACT_FIXED},
	{"pages are freed lazily", free_lazily, FOUND_BY_SCAN, ACT_FIXED},
};
