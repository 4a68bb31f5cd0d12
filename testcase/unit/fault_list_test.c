/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of fault_list: all that the scan finds written is listed, by whatever fault; when there are
 * more pages than entries, and while threads write. fault_list_test [SEED]
 * Writes without a fault are the subject of fault_list_signs_test.
 */
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <sys/uio.h>

#include "armed_child.h"
#include "random.h"

enum {
	TESTS = 26,
	THREADS = 3,
	PART = 23, /* pages of one thread */
	ROUNDS = 23,
	DRAINS = 5, /* in each round, while threads write */
	MANY = FAULT_PAGES + PART,
	ATTACHMENTS = 101,
};

static unsigned char *many; /* MANY pages, which nobody has touched */
static uint64_t seed;

/* ---- writes that trap ---- */

static void write_pages(int from, int count)
{
	for (int i = from; i < from + count; i++)
		*(volatile unsigned char *)(page_at(i) + 23) = 42;
}

static void write_three(void)
{
	write_pages(0, 1);
	write_pages(PART, 2);
}

static void write_own(void)
{
	write_pages(0, PAGES);
	_exit(0);
}

static void read_memory(void)
{
	for (int i = 0; i < PAGES; i++)
		(void)*(volatile unsigned char *)page_at(i);
}

static void read_file(void)
{
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	die_unless(fd >= 0 && read(fd, page_at(5) + 1, PAGE) == PAGE);
	(void)close(fd);
}

static void splice_pipe(void)
{
	struct iovec to = {page_at(5), PAGE};
	int ends[2];

	die_unless(pipe2(ends, O_CLOEXEC) == 0 && write(ends[1], many, 1) == 1);
	die_unless(vmsplice(ends[0], &to, 1, 0) == 1);
}

/* All write to the first page, and each to a part of its own. */
static void *write_part(void *number)
{
	for (__u64 round = 1;; round++) {
		while (shared->threads_go < round)
			(void)sched_yield();
		write_pages(0, 1);
		write_pages(1 + PART * (int)(intptr_t)number, PART);
		(void)__atomic_add_fetch(&shared->threads_done, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static void make_threads(void *(*run)(void *))
{
	pthread_t thread;

	for (intptr_t i = 0; i < THREADS; i++)
		die_unless(pthread_create(&thread, NULL, run, (void *)i) == 0);
}

static void make_writers(void)
{
	make_threads(write_part);
}

static void let_writers_write(void)
{
	shared->threads_go++;
	while (shared->threads_done < shared->threads_go * THREADS)
		(void)sched_yield();
}

static int write_one(void *unused)
{
	(void)unused;
	write_pages(5, 1);
	return 0;
}

/* As vfork(2) does. */
static void write_in_child(void)
{
	static _Alignas(16) char stack[1 << 16];
	pid_t pid = clone(write_one, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
	int status;

	die_unless(pid > 0 && waitpid(pid, &status, 0) == pid);
}

static void ignore(int number)
{
	(void)number;
}

static void use_alternate_stack(void)
{
	const stack_t stack = {.ss_sp = page_at(5), .ss_size = 64UL * PAGE};
	const struct sigaction action = {.sa_flags = SA_ONSTACK, .sa_handler = ignore};

	die_unless(sigaltstack(&stack, NULL) == 0 && sigaction(SIGUSR1, &action, NULL) == 0);
}

static void raise_signal(void)
{
	die_unless(raise(SIGUSR1) == 0);
}

static void test_traps(void)
{
	int err = play_without_sign(NULL, write_three, NULL);

	tap__ok(!err && count_listed(0, 1) == 1 && count_listed(PART, 2) == 2 &&
			count_listed(0, PAGES) == 3,
		"three pages that are written are listed, and no others");
	err = play_without_sign(NULL, read_memory, NULL);
	tap__ok(!err && count_listed(0, PAGES) == 0, "pages that are read are not listed");
	err = play_without_sign(make_writers, let_writers_write, NULL);
	tap__ok(!err && count_listed(0, 1 + THREADS * PART) == 1 + THREADS * PART &&
			count_listed(0, PAGES) == 1 + THREADS * PART,
		"three threads, each with pages of its own and one of all: all are listed");
	err = play_without_sign(use_alternate_stack, raise_signal, NULL);
	tap__ok(!err && count_listed(5, 64) > 0, "a signal's frame on another stack is listed");
	err = play_without_sign(NULL, read_file, NULL);
	tap__ok(!err && count_listed(0, PAGES) == 2 && count_listed(5, 2) == 2,
		"read(2) into two pages: both are listed, and no others");
	err = play_without_sign(NULL, splice_pipe, NULL);
	tap__ok(!err && count_listed(5, 1) == 1, "vmsplice(2) into a page: it is listed");
	err = play_once(NULL, write_in_child, NULL);
	tap__ok(err == -ESTALE || (!err && count_listed(5, 1) == 1),
		"a child that has the same memory writes: the page is listed, or there is a sign");
	tap__equal(play_without_sign(NULL, do_nothing, write_own), 0,
		   "another process writes to its own");
	tap__equal(count_listed(0, PAGES), 0, "pages, at the same addresses: none is listed");
}

/* ---- many ---- */

static void write_most(void)
{
	for (size_t i = 0; i < FAULT_PAGES - PART; i++)
		many[i * PAGE] = 1;
}

static void write_many(void)
{
	for (size_t i = 0; i < MANY; i++)
		many[i * PAGE] = 1;
}

static void test_many(void)
{
	size_t found = 0;
	bool ascending = true;
	int err = play_without_sign(NULL, write_most, NULL);

	for (size_t i = 0; i < page_count; i++) {
		found += pages[i] - (uintptr_t)many < (FAULT_PAGES - PART) * (size_t)PAGE;
		ascending &= i == 0 || pages[i - 1] < pages[i];
	}
	tap__ok(!err && found == FAULT_PAGES - PART, "nearly as many pages as there are entries");
	tap__ok(ascending, "in ascending order, each once");
	tap__equal(play_without_sign(NULL, write_many, NULL), -EOVERFLOW,
		   "more than that: it says so");
	tap__equal(play_without_sign(NULL, write_most, NULL), 0, "and the next time it is whole");
}

/* ---- huge pages ---- */

static unsigned char *huge; /* FAULT_LIST_REACH, aligned, which nobody has touched */

static void map_huge(void)
{
	uintptr_t at = (uintptr_t)map_untouched(2 * FAULT_LIST_REACH);

	huge = (unsigned char *)((at + FAULT_LIST_REACH - 1) & -FAULT_LIST_REACH);
	(void)madvise(huge, FAULT_LIST_REACH, MADV_HUGEPAGE);
}

static void write_huge(void)
{
	*(volatile unsigned char *)(huge + 23UL * PAGE) = 42;
}

/* One fault may make all of it present. */
static void test_huge(void)
{
	struct pagemap_run run;
	size_t present = 0, listed = 0;
	int err = -ESTALE;

	for (int i = 0; i < ATTEMPTS && err == -ESTALE; i++) {
		start_child(NULL, write_huge);
		err = play(NULL);
		pagemap__begin(&pagemap, (uintptr_t)huge, (uintptr_t)huge + FAULT_LIST_REACH, 0);
		for (present = 0; pagemap__next(&pagemap, &run) == 1;)
			present += (run.end - run.start) / PAGE;
		end_child();
	}
	for (size_t i = 0; i < page_count; i++)
		listed += (pages[i] & -FAULT_LIST_REACH) == (uintptr_t)huge;
	tap__ok(!err && present > 0 && listed == 1,
		"a write to memory that holds no data: one page is listed, %zu are there", present);
}

/* ---- while it is written ---- */

static bool drained[PAGES]; /* what the list has named in this round */

static bool is_drained(uint64_t address)
{
	return drained[(address - (uintptr_t)memory) / PAGE];
}

static void *write_at_random(void *number)
{
	/* all threads share this state, without a lock: the more random */
	random__seed(seed + (uint64_t)(intptr_t)number);
	for (;;) {
		write_pages((int)random__below(PAGES), 1);
		(void)__atomic_add_fetch(&shared->writes, 1, __ATOMIC_SEQ_CST);
		(void)sched_yield();
	}
	return NULL;
}

static void make_random_writers(void)
{
	make_threads(write_at_random);
}

static int drain(struct fault_mark *mark)
{
	int err = fault_list__pages(list, mark, pages, &page_count, mark);

	for (size_t i = 0; !err && i < page_count; i++)
		if (pages[i] - (uintptr_t)memory < BYTES)
			drained[(pages[i] - (uintptr_t)memory) / PAGE] = true;
	return err;
}

static void stop_child(void)
{
	int status;

	must(kill(child, SIGSTOP) || waitpid(child, &status, WUNTRACED) != child);
}

/* The list is read while threads write. At the end they stand still. Returns 0; -ENODATA if a page
 * is missing; or what a reading has returned: -ESTALE, or -EOVERFLOW if the host took a processor
 * away that was writing an entry. */
static int play_round_of_drains(void)
{
	const uint64_t start = (uintptr_t)memory;
	struct fault_mark mark;
	int err = 0;

	stop_child();
	must(pagemap__protect(&pagemap, start, start + BYTES));
	memset(drained, 0, sizeof(drained));
	fault_list__mark(list, &mark);
	must(kill(child, SIGCONT));
	for (int i = 0; i < DRAINS && !err; i++) {
		wait_for_child(&shared->writes, shared->writes + 3);
		err = drain(&mark);
	}
	stop_child();
	if (!err)
		err = drain(&mark);
	if (!err && !is_whole(is_drained))
		err = -ENODATA;
	must(kill(child, SIGCONT));
	return err;
}

static void test_drain(void)
{
	int wrong = 0, signs = 0, listed = 0;

	if (!can_arm) {
		tap__skip(2, "this kernel has no asynchronous write protection (Linux 6.7)");
		return;
	}
	start_child(make_random_writers, do_nothing);
	for (int round = 0; round < ROUNDS; round++) {
		int err = play_round_of_drains();

		signs += err == -ESTALE || err == -EOVERFLOW;
		wrong += err && err != -ESTALE && err != -EOVERFLOW;
		for (int i = 0; i < PAGES; i++)
			listed += drained[i];
	}
	end_child();
	tap__equal(wrong, 0,
		   "read while threads write: all that the scan finds is listed (seed %llu)",
		   (unsigned long long)seed);
	tap__ok(signs < ROUNDS / 2 && listed > ROUNDS, "in %d rounds, %d pages", ROUNDS, listed);
}

/* ---- its life ---- */

static int count_files(void)
{
	DIR *folder = opendir("/proc/self/fd");
	int count = 0;

	must(!folder);
	while (readdir(folder))
		count++;
	(void)closedir(folder);
	return count;
}

static void test_attachments(void)
{
	int errors = 0, files;
	struct fault_mark before, after;
	pid_t gone;

	start_child(NULL, write_three);
	fault_list__detach(list);
	files = count_files();
	for (int i = 0; i < ATTACHMENTS; i++) {
		errors += fault_list__attach(list, child) != 0;
		if (i == 0)
			tap__equal(count_files(), files + 4, "attached: four more files are open");
		fault_list__detach(list);
	}
	tap__equal(errors, 0, "attached and detached, %d times", ATTACHMENTS);
	tap__equal(count_files(), files, "no file of it is left open");
	fault_list__mark(list, &before);
	tap__equal(play(NULL), -ESTALE, "detached: what the child writes is not known");
	fault_list__mark(list, &after);
	tap__equal(after.writes, before.writes, "and not counted");
	gone = child;
	end_child();
	tap__equal(fault_list__attach(list, gone), -ESRCH, "a process that is gone");
}

static void exec_program(void)
{
	(void)execl("/proc/self/exe", "fault_list_test", "--wait", NULL);
	die_unless(false);
}

/* The hooks of the tracer take the child for the target, and see its exec. */
static void test_exec(void)
{
	struct fault_mark mark, end;

	start_child(NULL, exec_program);
	hooks__state(hooks)->child = (__u32)child;
	fault_list__mark(list, &mark);
	shared->go++;
	for (unsigned int i = 0; i < CHILD_LOOKS && !hooks__state(hooks)->target; i++)
		(void)usleep(1000);
	tap__equal(fault_list__pages(list, &mark, pages, &page_count, &end), -ESTALE,
		   "an exec is a sign");
	fault_list__mark(list, &mark);
	tap__equal(fault_list__pages(list, &mark, pages, &page_count, &end), -ESTALE,
		   "and nothing is watched after it");
	tap__equal(fault_list__attach(list, child), 0, "until it is attached again");
	fault_list__mark(list, &mark);
	tap__equal(fault_list__pages(list, &mark, pages, &page_count, &end), 0,
		   "to the new memory");
	end_child();
}

int main(int argc, char **argv)
{
	const char *why;

	if (argc > 1 && strcmp(argv[1], "--wait") == 0)
		for (;;)
			(void)pause();
	seed = random__seed_of(argc, argv, 23);
	tap__plan(TESTS);
	why = open_list();
	if (why) {
		tap__skip(TESTS, "%s", why);
		return tap__done();
	}
	many = map_untouched(MANY * (size_t)PAGE);
	test_traps();
	test_many();
	map_huge();
	test_huge();
	test_drain();
	test_attachments();
	test_exec();
	close_list();
	return tap__done();
}
