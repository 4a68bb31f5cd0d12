/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of write tracking from outside: a child does to its memory what the test orders. All of it
 * is compared with what it was when it was armed. A page that differs must be among those that may
 * have changed. First each pitfall alone, then a sequence of all of them, then writes that never
 * pause. Each is done in each way that the kernel has.
 */
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "valgrind.h"
#include "watched_child.h"

enum { STEPS = 1301, RACE_ROUNDS = 203 };

static const char *way_name;

static int note_dirty(bool rearm)
{
	const struct write_tracking *t = &target.tracking;
	uint64_t before = address_of(0);
	struct pagemap_run run;
	int more;

	write_tracking__begin(t, &target.pagemap, before, address_of(PAGES));
	while ((more = write_tracking__next(t, &target.pagemap, &run)) > 0) {
		if (rearm && (run.categories & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED)))
			must(write_tracking__rearm(t, &target.pagemap, run.start, run.end));
		must(run.start < before || run.end <= run.start || run.end > address_of(PAGES));
		before = run.end;
		for (uint64_t at = run.start; at < run.end; at += PAGE_BYTES)
			dirty[(at - address_of(0)) / PAGE_BYTES] = true;
	}
	return more;
}

static void ask(void)
{
	memset(dirty, 0, sizeof(dirty));
	must(note_dirty(false));
}

static unsigned int count_dirty(size_t first, size_t end)
{
	unsigned int count = 0;

	for (size_t i = first; i < end; i++)
		count += dirty[i];
	return count;
}

/* What may have changed is remembered anew and armed again, as after a checkpoint. */
static void rearm(void)
{
	const struct write_tracking *t = &target.tracking;

	if (t->way == WRITE_TRACKING_SOFT_DIRTY) {
		arm();
		return;
	}
	for (size_t i = 0; i < PAGES; i++) {
		if (!dirty[i])
			continue;
		(void)write_tracking__arm(t, &target.pagemap, address_of(i), address_of(i + 1));
		(void)read_page(i, model[i]);
	}
}

/* ---- the tests ---- */

/* How many pages hold data. */
static unsigned int count_data(void)
{
	struct pagemap_run run;
	unsigned int count = 0;

	pagemap__begin(&target.pagemap, address_of(0), address_of(PAGES), 0);
	while (pagemap__next(&target.pagemap, &run) > 0)
		count += (unsigned int)((run.end - run.start) / PAGE_BYTES);
	return count;
}

static void test_clean(void)
{
	open_target();
	arm();
	ask();
	tap__ok(count_dirty(0, PAGES - SOME) == 0 && count_data() == PAGES - SOME,
		"%s: nothing was written, and nothing may have changed", way_name);
	(void)order(WRITE, 7, SOME);
	ask();
	tap__ok(count_missed() == 0 && count_dirty(7, 7 + SOME) == SOME &&
			count_dirty(0, PAGES - SOME) == SOME,
		"%s: what was written may have changed, and nothing else", way_name);
	close_target();
}

static void test_parts(void)
{
	const struct write_tracking *t = &target.tracking;

	if (way != WRITE_TRACKING_PROTECT) {
		tap__skip(3, "%s: not by range", way_name);
		return;
	}
	open_target();
	arm();
	(void)order(WRITE, 7, SOME);
	must(write_tracking__rearm(t, &target.pagemap, address_of(7), address_of(6 + SOME)));
	ask();
	tap__ok(count_dirty(0, PAGES - SOME) == 1 && dirty[6 + SOME],
		"%s: armed again, but for one", way_name);
	for (size_t i = 0; i < PAGES - SOME; i += 2)
		(void)order(WRITE, i, 1);
	must(write_tracking__rearm(t, &target.pagemap, address_of(0), address_of(PAGES)));
	ask();
	tap__equal(count_dirty(0, PAGES - SOME), 0, "%s: each second page armed again", way_name);
	close_target();
}

/* Each action on pages in the middle, and on the last ones, which were never touched. */
static void test_actions(void)
{
	static const size_t places[] = {HUGE_PAGES + 7, PAGES - SOME};

	for (enum action action = 0; action < ACTIONS; action++) {
		const enum action then[] = {READ, WRITE, DONTNEED};
		unsigned int missed = 0;
		int failed = 0;

		open_target();
		for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
			arm();
			failed = order(action, places[i], SOME);
			ask();
			missed += count_missed();
			for (size_t j = 0; j < sizeof(then) / sizeof(*then); j++) {
				(void)order(then[j], places[i], SOME - j);
				ask();
				missed += count_missed();
			}
		}
		close_target();
		tap__equal(missed, 0, "%s: %s, then read, written, given back%s%s", way_name,
			   names[action], failed ? "; not here: " : "",
			   failed ? strerror(failed) : "");
	}
}

/* All of them, one after the other; what may have changed is armed again now and then. */
static void test_sequence(uint64_t seed)
{
	unsigned int missed = 0, rounds = 0;
	uint64_t changed = 0;

	random__seed(seed);
	open_target();
	arm();
	for (unsigned int step = 0; step < STEPS && !missed; step++) {
		const enum action action =
			random__below(3) ? random__below(3) : random__below(ACTIONS);
		const size_t count = 1 + random__below(SOME);

		(void)order(action, random__below(PAGES - count), count);
		if (random__below(5))
			continue;
		ask();
		missed = count_missed();
		changed += count_dirty(0, PAGES);
		rounds++;
		if (missed)
			tap__note("step %u: %s", step, names[action]);
		if (random__below(7))
			rearm();
	}
	close_target();
	tap__equal(missed, 0, "%s: %u steps, %u rounds, seed %llu", way_name, STEPS, rounds,
		   (unsigned long long)seed);
	tap__note("%llu pages a round may have changed",
		  (unsigned long long)(changed / (rounds ? rounds : 1)));
}

/* It writes while pages are armed again and copied: in the end, what was copied is all there is. */
static void test_race(void)
{
	unsigned int missed;

	if (way == WRITE_TRACKING_SOFT_DIRTY) {
		tap__skip(1, "%s: all pages are armed at once, so a process must stand still",
			  way_name);
		return;
	}
	open_target();
	arm();
	shared->racing = 1;
	(void)order(WRITE, 0, 1);
	for (unsigned int round = 0; round < RACE_ROUNDS; round++) {
		memset(dirty, 0, sizeof(dirty));
		must(note_dirty(true));
		if (round + 1 == RACE_ROUNDS)
			break;
		for (size_t i = 0; i < PAGES; i++)
			if (dirty[i])
				(void)read_page(i, model[i]);
	}
	must(kill(target.pid, SIGSTOP));
	child__wait_state(target.pid, 'T');
	/* the last ones were armed again, but not copied */
	must(note_dirty(false));
	missed = count_missed();
	close_target();
	tap__equal(missed, 0, "%s: written all the time, armed again %u times", way_name,
		   RACE_ROUNDS);
}

static void test_gone(void)
{
	struct pagemap_run run;
	int more;

	open_target();
	arm();
	must(kill(target.pid, SIGKILL));
	child__wait_state(target.pid, 'Z');
	write_tracking__begin(&target.tracking, &target.pagemap, address_of(0), address_of(PAGES));
	while ((more = write_tracking__next(&target.tracking, &target.pagemap, &run)) > 0)
		;
	tap__equal(more, -ESRCH, "%s: it has ended", way_name);
	close_target();
}

/* To arm memory that was never used must not cost page tables: 2 MiB for each GiB. */
static void test_sparse(void)
{
	const uint64_t bytes = 64ULL << 30;
	struct write_tracking tracking;
	uint64_t before = 0, after = 0;
	struct pagemap *own = malloc(sizeof(*own));
	unsigned char *sparse = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	must(!own || fd < 0 || sparse == MAP_FAILED);
	sparse[bytes / 2] = 1;
	pagemap__init(own, fd);
	write_tracking__open(&tracking, own);
	must(procfs__status_u64(0, "VmPTE", &before));
	must(write_tracking__begin_round(&tracking) ||
	     write_tracking__arm(&tracking, own, (uintptr_t)sparse, (uintptr_t)sparse + bytes));
	must(procfs__status_u64(0, "VmPTE", &after));
	tap__ok(after < before + 1024, "64 GiB that were never used take no page tables");
	write_tracking__close(&tracking);
	must(munmap(sparse, bytes));
	(void)close(fd);
	free(own);
}

int main(int argc, char **argv)
{
	static const struct {
		enum write_tracking_way way;
		const char *name;
	} ways[] = {
		{WRITE_TRACKING_PROTECT, "userfaultfd"},
		{WRITE_TRACKING_SOFT_DIRTY, "soft-dirty"},
	};
	const uint64_t seed = random__seed_of(argc, argv, 2301);
	enum { EACH = 4 + ACTIONS + 3, WAYS = sizeof(ways) / sizeof(*ways) };
	bool works[WAYS];
	unsigned int tests = 1;

	for (size_t i = 0; i < WAYS; i++) {
		works[i] = !under_valgrind() && has_way(ways[i].way);
		tests += works[i] ? EACH : 1;
	}
	tap__plan(tests);
	if (under_valgrind()) {
		tap__skip(tests, "valgrind runs the child, and has memory of its own in it");
		return tap__done();
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	must(shared == MAP_FAILED);
	for (size_t i = 0; i < WAYS; i++) {
		if (!works[i]) {
			tap__skip(1, "the kernel has no %s", ways[i].name);
			continue;
		}
		way = ways[i].way;
		way_name = ways[i].name;
		test_clean();
		test_parts();
		test_actions();
		test_sequence(seed);
		test_race();
		test_gone();
	}
	test_sparse();
	(void)munmap(shared, sizeof(*shared));
	return tap__done();
}
