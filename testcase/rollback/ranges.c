/* SPDX-License-Identifier: BSD-2-Clause
 *
 * librollback: checkpoints of some ranges (rollback_options.ranges). ranges [SEED].
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rollback/rollback.h"
#include "../unit/random.h"
#include "../unit/tap.h"

#define PAGE 4096UL
enum { PAGES = 23, ALL_PAGES = 3 * PAGES, ROUNDS = 601, PHASE = 97, LONG_REST = 5003 };

/* Three parts, and the range is the middle one. */
static unsigned char *memory, *middle, saved[PAGES * PAGE];
static struct rollback_range range;

static void fill(unsigned char *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		at[i] = (unsigned char)random__next();
}

static void begin(void)
{
	memory = mmap(NULL, ALL_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	must(memory == MAP_FAILED);
	middle = memory + PAGES * PAGE;
	fill(memory, ALL_PAGES * PAGE);
	memcpy(saved, middle, sizeof(saved));
	range = (struct rollback_range){middle, sizeof(saved)};
}

static void end(void)
{
	must(munmap(memory, ALL_PAGES * PAGE));
}

static struct rollback *take(unsigned int flags, enum rollback_way way)
{
	const struct rollback_options options = {flags, way, &range, 1};
	struct rollback *rollback = NULL;
	int err = rollback__take(&rollback, &options);

	if (err == -EOPNOTSUPP)
		return NULL;
	must(err);
	return rollback;
}

static void refuse(void)
{
	const struct {
		struct rollback_range ranges[2];
		size_t count;
		const char *why;
	} cases[] = {
		{{{memory + 1, PAGE}}, 1, "a start within a page"},
		{{{memory, PAGE - 1}}, 1, "an end within a page"},
		{{{memory, 0}}, 1, "no bytes"},
		{{{memory, -PAGE}}, 1, "an end below its start"},
		{{{memory + PAGE, PAGE}, {memory, PAGE}}, 2, "another order"},
		{{{memory, 2 * PAGE}, {memory + PAGE, PAGE}}, 2, "ranges that overlap"},
		{{{memory, PAGE}}, ROLLBACK_RANGES + 1, "too many"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct rollback_options options = {0, ROLLBACK_BEST, cases[i].ranges,
							 cases[i].count};
		struct rollback *rollback = NULL;

		tap__equal(rollback__take(&rollback, &options), -EINVAL, "-EINVAL: %s",
			   cases[i].why);
	}
}

/* In each phase some pages are written each time, all of them in the second one. */
static void write_some(int round)
{
	const int phase = round / PHASE, hot = phase == 1 ? PAGES : 1 + 5 * phase % PAGES;

	for (int i = 0; i < hot; i++)
		middle[(size_t)i * PAGE + random__below(PAGE)]++;
	if (random__below(3) == 0)
		middle[random__below(sizeof(saved))]++;
	if (random__below(7) == 0)
		must(madvise(middle + random__below(PAGES - 2) * PAGE, 2 * PAGE, MADV_DONTNEED));
}

static void go_back_often(unsigned int flags, enum rollback_way way)
{
	struct rollback *rollback = take(flags, way);
	int same = 0, kept = 0;
	unsigned char below, above;

	if (!rollback) {
		tap__skip(2, "this way does not work here");
		return;
	}
	for (int round = 0; round < ROUNDS; round++) {
		below = ++middle[-1];
		above = ++middle[sizeof(saved)];
		write_some(round);
		must(rollback__restore(rollback));
		same += memcmp(middle, saved, sizeof(saved)) == 0;
		kept += middle[-1] == below && middle[sizeof(saved)] == above;
	}
	tap__equal(same, ROUNDS, "flags %u, way %d: the range is as before", flags, (int)way);
	tap__equal(kept, ROUNDS, "what lies beside it is kept");
	rollback__free(rollback);
}

static void change_mappings(void)
{
	struct rollback *rollback = take(0, ROLLBACK_BEST);
	unsigned char *other =
		mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(!rollback || other == MAP_FAILED);
	*other = 23;
	must(munmap(middle + 3 * PAGE, 5 * PAGE));
	must(mmap(middle + 11 * PAGE, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		  -1, 0) == MAP_FAILED);
	must(munmap(memory, PAGE));
	must(rollback__restore(rollback));
	tap__ok(memcmp(middle, saved, sizeof(saved)) == 0, "mappings in the range are as before");
	tap__equal(*other, 23, "a mapping that was made elsewhere stays");
	tap__ok(msync(memory, PAGE, MS_ASYNC) != 0, "one that was removed elsewhere stays away");
	rollback__free(rollback);
	must(munmap(other, PAGE));
}

/* The heap grows, and is not in the checkpoint. */
static void grow_heap(struct rollback *rollback, const char *how)
{
	unsigned char *grown = sbrk((intptr_t)PAGE), *brk = sbrk(0);

	*grown = 23;
	*middle ^= 1;
	must(rollback__restore(rollback));
	tap__ok(sbrk(0) == brk && *grown == 23 && *middle == *saved, "the heap stays grown: %s",
		how);
	rollback__free(rollback);
	must(sbrk(-(intptr_t)PAGE) == (void *)-1);
}

static void exclude_heap(void)
{
	struct rollback *rollback;

	grow_heap(take(0, ROLLBACK_BEST), "ranges");
	grow_heap(take(ROLLBACK_FIXED_STATE, ROLLBACK_BEST), "ranges, fixed state");
	must(rollback__take(&rollback, NULL) ||
	     rollback__exclude(rollback, NULL, (uintptr_t)middle) ||
	     rollback__exclude(rollback, middle + sizeof(saved),
			       -(uintptr_t)middle - 2 * PAGE * PAGES));
	grow_heap(rollback, "it is excluded");
}

static struct rollback *of_handler;
static volatile int result;

static void restore_in_handler(int number)
{
	(void)number;
	result = rollback__restore(of_handler);
}

static int restore_on(unsigned char *stack, size_t bytes)
{
	const stack_t other = {.ss_sp = stack, .ss_size = bytes}, none = {.ss_flags = SS_DISABLE};
	struct sigaction action = {.sa_handler = restore_in_handler, .sa_flags = SA_ONSTACK};

	must(sigaltstack(&other, NULL) || sigaction(SIGUSR1, &action, NULL));
	must(raise(SIGUSR1) || sigaltstack(&none, NULL));
	return result;
}

static void use_stacks(void)
{
	of_handler = take(0, ROLLBACK_BEST);
	*middle ^= 1;
	tap__equal(restore_on(memory, PAGES * PAGE), 0, "restore on another stack");
	tap__equal(*middle, *saved, "does it");
	tap__equal(restore_on(middle, PAGES * PAGE), -EPERM, "-EPERM on one in the range");
	rollback__free(of_handler);
	memcpy(middle, saved, sizeof(saved));
}

static void go_back(void)
{
	int status, null[2];
	pid_t pid;

	must(pipe(null));
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		must(dup2(null[1], STDERR_FILENO) < 0);
		rollback__back(take(0, ROLLBACK_BEST));
	}
	must(pid < 0 || waitpid(pid, &status, 0) != pid || close(null[0]) || close(null[1]));
	tap__ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
		"rollback__back ends the process with SIGABRT");
}

static void nest(void)
{
	struct rollback *outer = take(0, ROLLBACK_BEST), *inner;

	*middle ^= 1;
	inner = take(0, ROLLBACK_BEST);
	must(!inner);
	*middle ^= 2;
	must(rollback__restore(inner));
	tap__equal(*middle, *saved ^ 1, "an inner checkpoint");
	must(rollback__restore(outer));
	tap__equal(*middle, *saved, "an outer one, which frees the inner one");
	inner = take(0, ROLLBACK_BEST);
	*middle ^= 1;
	must(!inner || rollback__restore(inner));
	tap__equal(*middle, *saved, "and a new one");
	rollback__free(outer);
}

/* Writes one other page in each of some rounds. Returns how many pages the last one copied back, or
 * -1 if memory was wrong. */
static long wander(struct rollback *rollback, int rounds)
{
	for (int round = 0; round < rounds; round++) {
		middle[(size_t)(round % PAGES) * PAGE + random__below(PAGE)]++;
		must(rollback__restore(rollback));
		if (memcmp(middle, saved, sizeof(saved)) != 0)
			return -1;
	}
	return (long)rollback__stats(rollback)->last_copied_pages;
}

static long rest(struct rollback *rollback, int rounds)
{
	for (int round = 0; round < rounds; round++)
		must(rollback__restore(rollback));
	return (long)rollback__stats(rollback)->last_copied_pages;
}

/* A range that is copied back as a whole: restore_whole.h. */
static void copy_whole(void)
{
	struct rollback *rollback = take(ROLLBACK_FIXED_STATE, ROLLBACK_PROTECT), *inner;
	unsigned char *kept = middle + 5 * PAGE + 7;

	if (!rollback) {
		tap__skip(7, "this way does not work here");
		return;
	}
	tap__equal(wander(rollback, PHASE), PAGES, "one other page each time: all are copied");
	tap__equal(rest(rollback, LONG_REST), 0, "nothing written: after a while, none is copied");
	tap__equal(wander(rollback, 2 * PHASE), PAGES, "and all of them later");
	must(rollback__exclude(rollback, kept, 1));
	kept[0] ^= 1;
	kept[1] ^= 1;
	must(rollback__restore(rollback));
	tap__ok(kept[0] == (*(saved + (kept - middle)) ^ 1) && kept[1] == saved[kept - middle + 1],
		"an excluded byte is kept, the next one is not");
	kept[0] ^= 1;
	inner = take(ROLLBACK_FIXED_STATE, ROLLBACK_PROTECT);
	must(!inner);
	tap__equal(wander(inner, PHASE), PAGES, "an inner checkpoint does the same");
	tap__equal(wander(rollback, 1), 1, "the outer one compares once");
	tap__equal(wander(rollback, 2 * PHASE), PAGES, "and goes on");
	rollback__free(rollback);
}

int main(int argc, char **argv)
{
	const unsigned int flags[] = {0, ROLLBACK_FIXED_MAPPINGS, ROLLBACK_FIXED_STATE};

	random__seed(random__seed_of(argc, argv, 23));
	tap__plan(51);
	begin();
	refuse();
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		for (int way = ROLLBACK_BEST; way <= ROLLBACK_COMPARE; way++)
			go_back_often(flags[i], (enum rollback_way)way);
	copy_whole();
	exclude_heap();
	use_stacks();
	go_back();
	nest();
	change_mappings();
	end();
	return tap__done();
}
