/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault_list_fuzz_test [SEED]: three threads make calls in random order at the same time, in
 * rounds. At the end of a round they stand still: all pages that the scan finds written must be
 * listed, or there is a sign. In every other round the calls are only such as need no sign. The
 * memory is made of huge pages where the machine has them; the list names their pages one by one.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "armed_child.h"
#include "random.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

enum {
	TESTS = 3,
	THREADS = 3,
	ROUNDS = 101,
	STEPS = 7, /* of a thread in a round */
	HUGE = 2 << 20,
	FUZZED_PAGES = 2 * HUGE / PAGE,
};

static uint64_t seed;
static int zeros, direct, ends[2]; /* /dev/zero, a file with O_DIRECT, a pipe */

/* ---- calls that need no sign ---- */

static void write_byte(unsigned char *page)
{
	*(volatile unsigned char *)page = 42;
}

static void read_byte(unsigned char *page)
{
	(void)*(volatile unsigned char *)page;
}

static void read_into(unsigned char *page)
{
	die_unless(read(zeros, page, PAGE) == PAGE);
}

static void splice_into(unsigned char *page)
{
	struct iovec to = {page, 1};

	die_unless(write(ends[1], "", 1) == 1 && vmsplice(ends[0], &to, 1, 0) == 1);
}

static void write_from(unsigned char *page)
{
	die_unless(write(zeros, page, PAGE) == PAGE);
}

static void fail(unsigned char *page)
{
	(void)page;
	die_unless(chdir((char *)PAGE) == -1 && errno == EFAULT);
}

/* ---- calls that leave one ---- */

static void read_directly(unsigned char *page)
{
	die_unless(direct < 0 || pread(direct, page, PAGE, 0) == PAGE);
}

static void write_to_itself(unsigned char *page)
{
	struct iovec from = {&seed, 1}, to = {page, 1};

	die_unless(process_vm_writev(getpid(), &from, 1, &to, 1, 0) == 1);
}

static void discard(unsigned char *page)
{
	(void)madvise(page, PAGE, MADV_DONTNEED); /* fails where another thread has locked it */
}

static void discard_lazily(unsigned char *page)
{
	(void)madvise(page, PAGE, MADV_FREE);
}

static void page_out(unsigned char *page)
{
	(void)madvise(page, PAGE, MADV_PAGEOUT);
}

static void collapse(unsigned char *page)
{
	(void)madvise((void *)((uintptr_t)page & -(uintptr_t)HUGE), HUGE, MADV_COLLAPSE);
}

static void lock_and_unlock(unsigned char *page)
{
	(void)(mlock(page, PAGE) || munlock(page, PAGE));
}

static void protect_and_back(unsigned char *page)
{
	die_unless(mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
	die_unless(mprotect(page, PAGE, PROT_READ | PROT_WRITE) == 0);
}

static void fork_child(unsigned char *page)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		write_byte(page);
		_exit(0);
	}
	die_unless(pid > 0 && waitpid(pid, &status, 0) == pid);
	write_byte(page);
}

static void (*const calls[])(unsigned char *page) = {
	write_byte, read_byte,     read_into,       splice_into,      write_from,
	fail,       read_directly, write_to_itself, discard,          discard_lazily,
	page_out,   collapse,      lock_and_unlock, protect_and_back, fork_child,
};
enum { CALM = 6, CALLS = sizeof(calls) / sizeof(*calls) };

/* ---- rounds ---- */

static bool is_calm(uint64_t round)
{
	return round % 2;
}

/* Numbers of a thread's own: Knuth's multiplier. */
static uint64_t below(uint64_t *state, uint64_t limit)
{
	*state = *state * 6364136223846793005 + 1442695040888963407;
	return (*state >> 33) % limit;
}

/* Mostly of few pages, so that threads meet. */
static unsigned char *choose_page(uint64_t *state)
{
	return page_at((int)below(state, below(state, 2) ? 5 : FUZZED_PAGES));
}

static void *make_calls(void *number)
{
	uint64_t state = seed * 2 + (uintptr_t)number;

	for (__u64 round = 1;; round++) {
		while (shared->threads_go < round)
			(void)usleep(100);
		for (int i = 0; i < STEPS; i++)
			calls[below(&state, is_calm(round) ? CALM : CALLS)](choose_page(&state));
		(void)__atomic_add_fetch(&shared->threads_done, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static void make_threads(void)
{
	pthread_t thread;

	for (uintptr_t i = 0; i < THREADS; i++)
		die_unless(pthread_create(&thread, NULL, make_calls, (void *)i) == 0);
}

static void stop_child(void)
{
	int status;

	must(kill(child, SIGSTOP) || waitpid(child, &status, WUNTRACED) != child);
	must(!WIFSTOPPED(status));
}

static int play_fuzzed_round(void)
{
	const uint64_t start = (uintptr_t)memory;
	struct fault_mark mark, end;
	int err;

	stop_child();
	must(pagemap__protect(&pagemap, start, start + memory_bytes));
	fault_list__mark(list, &mark);
	must(kill(child, SIGCONT));
	shared->threads_go++;
	wait_for_child(&shared->threads_done, THREADS * shared->threads_go);
	stop_child();
	err = fault_list__pages(list, &mark, pages, &page_count, &end);
	if (!err && !is_whole(is_listed))
		err = -ENODATA;
	must(kill(child, SIGCONT));
	return err;
}

static void test_rounds(void)
{
	int wrong = 0, calm_signs = 0, signs = 0;

	start_child(make_threads, do_nothing);
	for (uint64_t round = 1; round <= ROUNDS; round++) {
		int err = play_fuzzed_round();

		if (err == -ESTALE && is_calm(round))
			calm_signs++;
		else if (err == -ESTALE)
			signs++;
		else
			wrong += err != 0;
	}
	end_child();
	tap__equal(wrong, 0,
		   "%d rounds of random calls: the list is whole, or there is a sign (%llu)",
		   ROUNDS, (unsigned long long)seed);
	tap__ok(signs > ROUNDS / 4, "calls that write without a trap: there are signs, %d", signs);
	tap__ok(calm_signs < ROUNDS / 4, "calls that trap: there are few, %d", calm_signs);
}

static void open_files(void)
{
	char name[] = "/var/tmp/fault_list_fuzz_test.XXXXXX";
	int fd = mkostemp(name, O_CLOEXEC);

	must(fd < 0 || ftruncate(fd, PAGE));
	direct = open(name, O_RDONLY | O_DIRECT | O_CLOEXEC);
	(void)close(fd);
	(void)unlink(name);
	zeros = open("/dev/zero", O_RDWR | O_CLOEXEC);
	must(zeros < 0 || pipe2(ends, O_CLOEXEC));
}

/* On a boundary of huge pages. */
static void map_huge(void)
{
	uintptr_t at = (uintptr_t)map_untouched(3UL * HUGE);

	memory = (unsigned char *)((at + HUGE - 1) & -(uintptr_t)HUGE);
	memory_bytes = 2UL * HUGE;
	(void)madvise(memory, memory_bytes, MADV_HUGEPAGE);
}

int main(int argc, char **argv)
{
	const char *why;

	seed = random__seed_of(argc, argv, 23);
	tap__plan(TESTS);
	why = open_list();
	if (!why && !can_arm)
		why = "this kernel has no asynchronous write protection (Linux 6.7)";
	if (why) {
		tap__skip(TESTS, "%s", why);
	} else {
		open_files();
		map_huge();
		test_rounds();
	}
	close_list();
	return tap__done();
}
