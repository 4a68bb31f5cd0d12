/* SPDX-License-Identifier: BSD-2-Clause
 *
 * librollback with the list of written pages of a tracer (ROLLBACK_LIST), in TAP. listed [SEED].
 * In each round a target does something (listed_acts.c), goes back, and compares all of its private
 * memory. It does so itself: a reader from outside would leave a sign. What some acts write must be
 * found without a scan. Other acts leave only a sign, so all must be scanned.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <sys/stat.h>

#include "../unit/random.h"
#include "../unit/tap.h"
#include "listed_acts.h"
#include "own_tracer.h"

#pragma weak __rseq_offset

enum {
	NOBODY = 65534,
	SKIPPED = 77,
	TESTS = 136,
	FLAG_TESTS = 84, /* of the runs with other flags than 0 */
	RANDOM_ROUNDS = 123,
	RSEQ_BYTES = 32,
};

/* ---- the target ---- */

static void read_ranges(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[4352], rights[8];

	while (maps && fgets(line, sizeof(line), maps)) {
		struct range *range = &act__shared->ranges[act__shared->range_count];

		if (sscanf(line, "%lx-%lx %7s", &range->start, &range->end, rights) == 3 &&
		    rights[0] == 'r' && rights[3] == 'p' && !strstr(line, "[v"))
			act__shared->range_count++;
		must(act__shared->range_count == RANGES);
	}
	must(!maps || fclose(maps));
}

static bool is_ignored(uint64_t address)
{
	for (int i = 0; i < IGNORED; i++)
		if (act__shared->ignored[i].start <= address &&
		    address < act__shared->ignored[i].end)
			return true;
	return false;
}

static uint64_t begin_of(const struct range *range)
{
	return range->start < act__shared->stack && act__shared->stack < range->end
		       ? act__shared->stack
		       : range->start;
}

static void copy_all(void)
{
	size_t used = 0;

	for (size_t i = 0; i < act__shared->range_count; i++) {
		const struct range *range = &act__shared->ranges[i];
		const uint64_t start = begin_of(range);

		NEED(used + (range->end - start) <= COPY_BYTES);
		memcpy(act__shared->copy + used, (const void *)start, range->end - start);
		used += range->end - start;
	}
}

/* Do so many bytes differ from the copy, other than ignored ones? */
static bool differs(const unsigned char *now, const unsigned char *copy, uint64_t bytes)
{
	if (memcmp(now, copy, bytes) == 0)
		return false;
	for (uint64_t i = 0; i < bytes; i++)
		if (now[i] != copy[i] && !is_ignored((uintptr_t)&now[i])) {
			act__shared->difference = (uintptr_t)&now[i];
			return true;
		}
	return false;
}

static bool is_same(void)
{
	const unsigned char *copy = act__shared->copy;

	for (size_t i = 0; i < act__shared->range_count; i++) {
		const struct range *range = &act__shared->ranges[i];

		for (uint64_t at = begin_of(range), end; at < range->end; at = end) {
			end = (at & -PAGE) + PAGE;
			if (differs((const unsigned char *)at, copy, end - at))
				return false;
			copy += end - at;
		}
	}
	return true;
}

static void note(void)
{
	const struct rollback_stats *stats = rollback__stats(act__shared->rollback);
	const bool same = is_same();
	unsigned char resident;

	if (act__shared->act < ACTS && act__all[act__shared->act].flags & ACT_GROWS_STACK)
		NEED(mincore((void *)((act__shared->stack - 125 * PAGE) & -PAGE), PAGE,
			     &resident) &&
		     errno == ENOMEM);
	act__shared->rounds[act__shared->act]++;
	act__shared->same[act__shared->act] += same;
	act__shared->listed[act__shared->act] += stats->listed != act__shared->listed_before;
	act__shared->way = stats->way;
}

/* The child of go_back_in_child(), which goes back twice. */
static void be_child(void)
{
	act__shared->child_differs |= !is_same();
	act__shared->child_way = rollback__stats(act__shared->rollback)->way;
	if (act__shared->is_child) {
		act__shared->is_child = false;
		act__write_others();
		rollback__back(act__shared->rollback);
	}
	_exit(0);
}

/* Which act is next; LAST_ACT: the end of the list, and a few after it; -1: none. */
static int next_act(unsigned int flags)
{
	unsigned int act = act__shared->round < 3 * ACTS ? act__shared->round % ACTS
							 : (unsigned int)random__below(ACTS);

	if (act__shared->round == RANDOM_ROUNDS + 5)
		return -1;
	if (act__shared->round == RANDOM_ROUNDS)
		return LAST_ACT;
	if (act__shared->round > RANDOM_ROUNDS || (flags && !(act__all[act].flags & ACT_FIXED)))
		act = 1;
	if (act__shared->round > 3 * ACTS && (act__all[act].flags & ACT_SLOW))
		act = 0;
	return (int)act;
}

static void __attribute__((noinline)) play(unsigned int flags, const struct act *last)
{
	const struct rollback_options options = {.flags = flags, .way = ROLLBACK_LIST};
	int again, act;

	act__shared->stack = (uintptr_t)__builtin_frame_address(0) - 16;
	again = rollback__take(&act__shared->rollback, &options);
	if (again < 0)
		_exit(-again);
	if (getpid() != act__target)
		be_child();
	if (again) {
		note();
	} else {
		NEED(!rollback__exclude(act__shared->rollback, act__excluded(), 1));
		copy_all();
	}
	random__seed(act__shared->seed + act__shared->round);
	act__seed(act__shared->seed + act__shared->round);
	act = next_act(flags);
	if (act < 0) {
		act__shared->finished = 1;
		return;
	}
	act__shared->round++;
	act__shared->act = (unsigned int)act;
	act__shared->listed_before = rollback__stats(act__shared->rollback)->listed;
	(act == LAST_ACT ? last : &act__all[act])->act();
	rollback__back(act__shared->rollback);
}

/* When a tracer of an older version starts, it closes the folder of the sockets to other users. */
static bool is_closed(void)
{
	struct stat status;

	return !stat("/run/tracer", &status) && !(status.st_mode & S_IXOTH);
}

/* A checkpoint of some memory alone, restored in place. */
static void __attribute__((noinline)) restore_range(void)
{
	const struct rollback_range range = {act__large, LARGE};
	const struct rollback_options options = {.flags = ROLLBACK_FIXED_STATE,
						 .way = ROLLBACK_LIST,
						 .ranges = &range,
						 .range_count = 1};
	int err = rollback__take(&act__shared->rollback, &options);

	if (err)
		_exit(is_closed() ? SKIPPED : 1);
	memcpy(act__shared->copy, act__large, LARGE);
	for (act__shared->round = 0; act__shared->round < RANDOM_ROUNDS; act__shared->round++) {
		if (act__shared->round % 23 == 22)
			act__discard();
		else if (act__shared->round % 5)
			act__write_others();
		else
			act__write_same();
		NEED(!rollback__restore(act__shared->rollback));
		act__shared->rounds[0]++;
		act__shared->same[0] += memcmp(act__shared->copy, act__large, LARGE) == 0;
	}
	act__shared->listed[0] = (unsigned int)rollback__stats(act__shared->rollback)->listed;
	rollback__free(act__shared->rollback);
	_exit(0);
}

/* Becomes a process of another user. A child that stays root's starts its tracer. */
static void be_nobody(void)
{
	const pid_t pid = fork();

	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (!__atomic_load_n(&act__shared->asked, __ATOMIC_ACQUIRE))
			(void)usleep(1000);
		act__shared->tracer = own_tracer__start(act__tracer, act__target);
		__atomic_store_n(&act__shared->asked, 0, __ATOMIC_RELEASE);
		(void)pause();
	}
	must(pid < 0 || setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY));
	must(prctl(PR_SET_DUMPABLE, 1)); /* as if that user had started it */
	act__ask(1);
}

static void be_target(unsigned int flags, const struct act *last)
{
	uint64_t self, tid_address = 0;

	act__target = getpid();
	__asm__("mov %%fs:0, %0" : "=r"(self));
	must(prctl(PR_GET_TID_ADDRESS, &tid_address));
	act__shared->ignored[0] = (struct range){tid_address, tid_address + 4};
	if (&__rseq_offset)
		act__shared->ignored[1] =
			(struct range){self + (uint64_t)__rseq_offset,
				       self + (uint64_t)__rseq_offset + RSEQ_BYTES};
	act__shared->ignored[2] =
		(struct range){(uintptr_t)act__excluded(), (uintptr_t)act__excluded() + 1};
	if (last)
		act__shared->tracer = own_tracer__start(act__tracer, act__target);
	else
		be_nobody();
	must(act__shared->tracer <= 0);
	act__seed(act__shared->seed);
	if (!last)
		restore_range();
	if (fork() == 0)
		act__help();
	read_ranges();
	(void)is_same(); /* the first call of a function writes its address */
	act__shared->difference = 0;
	play(flags, last);
	rollback__free(act__shared->rollback);
	_exit(act__shared->finished ? 0 : 1);
}

/* ---- the test ---- */

static void map_memory(void)
{
	char path[] = "/tmp/rollback-listed.XXXXXX";
	const int fd = mkstemp(path);

	act__shared = mmap(NULL, sizeof(*act__shared), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	act__large = mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	act__empty = mmap(NULL, EMPTY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(act__shared == MAP_FAILED || act__large == MAP_FAILED || act__empty == MAP_FAILED);
	(void)madvise(act__large, LARGE, MADV_NOHUGEPAGE);
	(void)madvise(act__empty, EMPTY, MADV_HUGEPAGE);
	for (size_t i = 0; i < LARGE; i++)
		act__large[i] = (unsigned char)(i * 2654435761U >> 13);
	must(fd < 0 || unlink(path) || ftruncate(fd, 7 * PAGE));
	act__file = mmap(NULL, 7 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	must(act__file == MAP_FAILED || close(fd));
	act__file[PAGE] = 1;
}

static void show(unsigned int flags, const char *name, unsigned int act, enum found found)
{
	if (!act__shared->rounds[act])
		return;
	tap__equal(act__shared->same[act], act__shared->rounds[act],
		   "flags %u, %s: memory is as before", flags, name);
	if (found == FOUND_LISTED)
		tap__ok(act__shared->listed[act] > 0, "without a scan");
	else
		tap__equal(act__shared->listed[act], 0, "by a scan");
}

static void show_all(unsigned int flags, const struct act *last)
{
	for (unsigned int i = 0; i < ACTS; i++)
		show(flags, act__all[i].name, i, act__all[i].found);
	show(flags, last->name, LAST_ACT, FOUND_BY_SCAN);
	tap__equal(act__shared->way, ROLLBACK_PROTECT, "then it goes on without a list");
	tap__ok(!act__shared->child_differs && act__shared->child_way == ROLLBACK_PROTECT,
		"a child has no list");
	if (act__shared->difference)
		tap__note("a byte that differs: %#lx", act__shared->difference);
}

/* last: how the list ends; NULL: a checkpoint of a range. */
static void run(uint64_t seed, unsigned int flags, const struct act *last)
{
	int status;
	pid_t pid;

	map_memory();
	act__shared->seed = seed;
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		(void)setpgid(0, 0);
		be_target(flags, last);
	}
	(void)setpgid(pid, pid);
	must(pid < 0 || waitpid(pid, &status, 0) != pid);
	(void)kill(-pid, SIGKILL); /* tracer and helper */
	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) {
		tap__skip(4, "an older tracer has closed /run/tracer");
		goto out;
	}
	tap__equal(status, 0, "flags %u: the target ends well", flags);
	tap__equal(act__shared->failed_line, 0, "no act fails");
	if (last)
		show_all(flags, last);
	else
		show(flags, "a range, of another user", 0, FOUND_LISTED);
out:
	must(munmap(act__large, LARGE) || munmap(act__empty, EMPTY) || munmap(act__file, 7 * PAGE));
	must(munmap(act__shared, sizeof(*act__shared)));
}

static bool can_protect(void)
{
	const struct rollback_options options = {.way = ROLLBACK_PROTECT};
	struct rollback *rollback;
	int err = rollback__take(&rollback, &options);

	must(err && err != -EOPNOTSUPP);
	if (!err)
		rollback__free(rollback);
	return !err;
}

int main(int argc, char **argv)
{
	const uint64_t seed = random__seed_of(argc, argv, 23);

	tap__plan(TESTS);
	act__tracer = own_tracer__path(argv[0]);
	if (geteuid() != 0 || !can_protect()) {
		tap__skip(TESTS, "only root lists faults, with Linux 6.7 or later");
		return tap__done();
	}
	run(seed, 0, &act__ends[0]);
	if (getenv("TRACER_VM")) { /* the other flags make no difference to a kernel */
		tap__skip(FLAG_TESTS, "long in an emulated machine");
	} else {
		run(seed, ROLLBACK_FIXED_MAPPINGS, &act__ends[1]);
		run(seed, ROLLBACK_FIXED_STATE, &act__ends[2]);
	}
	run(seed, ROLLBACK_FIXED_STATE, NULL);
	return tap__done();
}
