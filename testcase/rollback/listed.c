/* SPDX-License-Identifier: BSD-2-Clause
 *
 * librollback with the list of written pages of a tracer (ROLLBACK_LIST), in TAP. listed [SEED].
 * In each round a target does something, goes back, and compares all of its private memory. It does
 * so itself: a reader from outside would leave a sign. What some acts write must be found without a
 * scan. Other acts leave only a sign, so all must be scanned.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/utsname.h>

#include "pages/shared_list.h"
#include "rollback/rollback.h"
#include "../unit/random.h"
#include "../unit/tap.h"
#include "own_tracer.h"

#pragma weak __rseq_offset

#define PAGE  4096UL
#define LARGE (1031 * PAGE) /* all of it holds data */
#define EMPTY (1537 * PAGE)
enum {
	NOBODY = 65534,
	SKIPPED = 77,
	TESTS = 136,
	RANGES = 256,
	IGNORED = 3,
	RANDOM_ROUNDS = 199,
	RSEQ_BYTES = 32
};
#define COPY_BYTES (64UL << 20)

struct range {
	uint64_t start, end;
};

/* What no rollback changes: shared memory. */
struct shared {
	struct range ranges[RANGES], ignored[IGNORED];
	size_t range_count;
	uint64_t stack; /* below it, nothing is in use */
	unsigned int round, act, rounds[32], same[32], listed[32];
	uint64_t seed, listed_before, difference;
	struct rollback *rollback;
	int asked; /* the helper: which act is wanted; 0: done; -1: end */
	int finished, failed_line;
	bool is_child, child_differs;
	enum rollback_way way, child_way;
	pid_t tracer;
	unsigned char copy[COPY_BYTES];
};

static struct shared *shared;
static const char *tracer_path;
static unsigned char *large, *empty, *file;
static pid_t target;

static void need(bool condition, int line)
{
	if (!condition && !shared->failed_line)
		shared->failed_line = line;
}
#define NEED(condition) need(condition, __LINE__)

/* ---- acts ---- */

static void write_same(void)
{
	for (size_t i = 0; i < 5; i++)
		large[i * 201 * PAGE + shared->round % PAGE]++;
}

static void write_others(void)
{
	for (int i = 0; i < 7; i++)
		large[random__below(LARGE)]++;
	file[random__below(5 * PAGE)]++;
}

/* Fills one page that was empty, or many: with huge pages one fault fills 2 MiB. */
static void fill_empty(void)
{
	const size_t at = random__below(EMPTY), bytes = random__below(EMPTY - at) + 1;

	memset(empty + at, 0x5a, random__below(2) ? bytes : 1);
}

/* In a page that was empty, some bytes are excluded, so it stays. */
static unsigned char *excluded(void)
{
	return empty + EMPTY - PAGE + 23;
}

static void write_around_excluded(void)
{
	excluded()[-1]++;
	excluded()[0]++;
	excluded()[1]++;
}

static void read_into(void)
{
	const int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	NEED(read(fd, large + random__below(500) * PAGE, 3 * PAGE) == (ssize_t)(3 * PAGE));
	(void)close(fd);
}

/* Faults that fail are listed, too. */
static void overflow(void)
{
	static const char text[PAGE] = "cannot be written";

	for (int i = 0; i <= SHARED_LIST_PAGES; i++)
		NEED(uname((struct utsname *)(uintptr_t)text) < 0);
	write_others();
}

static void write_vm(pid_t pid)
{
	unsigned char bytes[3] = {1, 2, 3};
	const struct iovec from = {bytes, sizeof(bytes)};
	const struct iovec to = {large + random__below(LARGE - sizeof(bytes)), sizeof(bytes)};

	NEED(process_vm_writev(pid, &from, 1, &to, 1, 0) == (ssize_t)sizeof(bytes));
}

static void write_own_vm(void)
{
	write_vm(getpid());
}

static void write_mem(void)
{
	const off_t at = (off_t)(uintptr_t)large + (off_t)random__below(LARGE - 3);
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/mem", target);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	NEED(pwrite(fd, "abc", 3, at) == 3);
	(void)close(fd);
}

static void take_from_outside(void)
{
	char command[4200];

	(void)snprintf(command, sizeof(command), "%s ctl %d checkpoint 1 >/dev/null 2>&1",
		       tracer_path, target);
	NEED(!system(command)); /* NOLINT(*-env33-c,*-ENV33-C) */
}

static void help(void)
{
	int asked;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	while ((asked = __atomic_load_n(&shared->asked, __ATOMIC_ACQUIRE)) >= 0) {
		if (asked == 1)
			write_vm(target);
		else if (asked == 2)
			write_mem();
		else if (asked == 3)
			take_from_outside();
		if (asked)
			__atomic_store_n(&shared->asked, 0, __ATOMIC_RELEASE);
		(void)usleep(100);
	}
	_exit(0);
}

static void ask(int what)
{
	__atomic_store_n(&shared->asked, what, __ATOMIC_RELEASE);
	while (__atomic_load_n(&shared->asked, __ATOMIC_ACQUIRE))
		(void)usleep(100);
}

static void be_written(void)
{
	ask(1);
}

static void be_debugged(void)
{
	ask(2);
}

/* The tracer must not arm pages that the process has written. */
static void be_saved(void)
{
	write_others();
	ask(3);
}

/* Not every file system has O_DIRECT. */
static void read_direct(void)
{
	unsigned char *to = large + random__below(500) * PAGE;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC | O_DIRECT);

	if (fd < 0 || read(fd, to, 2 * PAGE) != (ssize_t)(2 * PAGE))
		write_own_vm();
	if (fd >= 0)
		(void)close(fd);
}

static void discard(void)
{
	NEED(!madvise(large + random__below(500) * PAGE, 17 * PAGE, MADV_DONTNEED));
	NEED(!madvise(large + PAGE * 512, 512 * PAGE, MADV_DONTNEED));
}

static void change_mappings(void)
{
	NEED(!munmap(large + 23 * PAGE, 5 * PAGE));
	NEED(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
	     MAP_FAILED);
	NEED(!mprotect(large + 97 * PAGE, PAGE, PROT_READ));
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
	unsigned char *const at = large + random__below(LARGE);
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
	write_others();
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
	write_others();
}

/* The child goes back in itself, and has no list. */
static void go_back_in_child(void)
{
	int status;
	pid_t pid;

	shared->is_child = true;
	pid = fork();
	write_others();
	if (pid == 0)
		rollback__back(shared->rollback);
	NEED(waitpid(pid, &status, 0) == pid && status == 0);
	shared->is_child = false;
}

/* A checkpoint inside the other one arms its pages anew. */
static void nest(void)
{
	const struct rollback_options options = {.way = ROLLBACK_LIST};
	struct rollback *inner;
	int again;

	write_others();
	again = rollback__take(&inner, &options);
	NEED(again >= 0);
	write_others();
	if (!again)
		rollback__back(inner);
	write_others();
}

static void do_something(void)
{
	void (*const acts[])(void) = {write_same, write_others, fill_empty, read_into};

	for (uint64_t i = random__below(4); i < 4; i++)
		acts[random__below(4)]();
}

/* ---- the end of the list ---- */

static void kill_tracer(void)
{
	own_tracer__end(shared->tracer, SIGKILL);
	write_others();
}

static void detach_tracer(void)
{
	write_others();
	own_tracer__end(shared->tracer, SIGTERM);
	write_others();
}

/* The kernel takes the pages when it likes. */
static void free_lazily(void)
{
	NEED(!madvise(empty, 5 * PAGE, MADV_FREE));
	write_others();
}

enum found { LISTED, SCANNED };

static const struct act {
	const char *name;
	void (*act)(void);
	enum found found;
	bool is_fixed; /* keeps the promise of ROLLBACK_FIXED_STATE */
} acts[] = {
	{"the same pages are written", write_same, LISTED, true},
	{"other pages are written", write_others, LISTED, true},
	{"empty pages are filled", fill_empty, LISTED, true},
	{"a page with excluded bytes", write_around_excluded, LISTED, true},
	{"read(2)", read_into, LISTED, true},
	{"anything of these", do_something, LISTED, true},
	{"the list overflows", overflow, SCANNED, true},
	{"process_vm_writev of another process", be_written, SCANNED, true},
	{"process_vm_writev of its own", write_own_vm, SCANNED, true},
	{"/proc/PID/mem", be_debugged, SCANNED, true},
	{"a checkpoint from outside", be_saved, SCANNED, true},
	{"a read with O_DIRECT", read_direct, SCANNED, true},
	{"pages are discarded", discard, SCANNED, true},
	{"the heap grows", grow_heap, SCANNED, true},
	{"a child of vfork writes", write_in_vfork, SCANNED, true},
	{"the files of the library are closed", close_files, SCANNED, true},
	{"a child of fork goes back", go_back_in_child, SCANNED, true},
	{"a checkpoint inside it", nest, SCANNED, true},
	{"mappings change", change_mappings, SCANNED, false},
	{"the stack grows", grow_stack, LISTED, false},
	{"a thread writes", make_thread, SCANNED, false},
};
enum { ACTS = sizeof(acts) / sizeof(acts[0]), LAST_ACT = ACTS };

/* ---- the target ---- */

static void read_ranges(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[4352], rights[8];

	while (maps && fgets(line, sizeof(line), maps)) {
		struct range *range = &shared->ranges[shared->range_count];

		if (sscanf(line, "%lx-%lx %7s", &range->start, &range->end, rights) == 3 &&
		    rights[0] == 'r' && rights[3] == 'p' && !strstr(line, "[v"))
			shared->range_count++;
		must(shared->range_count == RANGES);
	}
	must(!maps || fclose(maps));
}

static bool is_ignored(uint64_t address)
{
	for (int i = 0; i < IGNORED; i++)
		if (shared->ignored[i].start <= address && address < shared->ignored[i].end)
			return true;
	return false;
}

static uint64_t begin_of(const struct range *range)
{
	return range->start < shared->stack && shared->stack < range->end ? shared->stack
									  : range->start;
}

static void copy_all(void)
{
	size_t used = 0;

	for (size_t i = 0; i < shared->range_count; i++) {
		const struct range *range = &shared->ranges[i];
		const uint64_t start = begin_of(range);

		NEED(used + (range->end - start) <= COPY_BYTES);
		memcpy(shared->copy + used, (const void *)start, range->end - start);
		used += range->end - start;
	}
}

static bool is_same(void)
{
	size_t used = 0;

	for (size_t i = 0; i < shared->range_count; i++) {
		const struct range *range = &shared->ranges[i];
		const uint64_t start = begin_of(range), bytes = range->end - start;
		const unsigned char *now = (const unsigned char *)start;

		for (uint64_t k = 0; memcmp(now, shared->copy + used, bytes) != 0 && k < bytes; k++)
			if (now[k] != shared->copy[used + k] && !is_ignored(start + k)) {
				shared->difference = start + k;
				return false;
			}
		used += bytes;
	}
	return true;
}

static void note(void)
{
	const struct rollback_stats *stats = rollback__stats(shared->rollback);
	const bool same = is_same();
	unsigned char resident;

	if (shared->act < ACTS && acts[shared->act].act == grow_stack)
		NEED(mincore((void *)((shared->stack - 125 * PAGE) & -PAGE), PAGE, &resident) &&
		     errno == ENOMEM);
	shared->rounds[shared->act]++;
	shared->same[shared->act] += same;
	shared->listed[shared->act] += stats->listed != shared->listed_before;
	shared->way = stats->way;
}

/* The child of go_back_in_child(), which goes back twice. */
static void be_child(void)
{
	shared->child_differs |= !is_same();
	shared->child_way = rollback__stats(shared->rollback)->way;
	if (shared->is_child) {
		shared->is_child = false;
		write_others();
		rollback__back(shared->rollback);
	}
	_exit(0);
}

/* Which act is next; LAST_ACT: the end of the list, and a few after it; -1: none. */
static int next_act(unsigned int flags)
{
	unsigned int act =
		shared->round < 3 * ACTS ? shared->round % ACTS : (unsigned int)random__below(ACTS);

	if (shared->round == RANDOM_ROUNDS + 5)
		return -1;
	if (shared->round == RANDOM_ROUNDS)
		return LAST_ACT;
	if (shared->round > RANDOM_ROUNDS || (flags && !acts[act].is_fixed))
		act = 1;
	if (shared->round > 3 * ACTS &&
	    (acts[act].act == go_back_in_child || acts[act].act == be_saved))
		act = 0;
	return (int)act;
}

static void __attribute__((noinline)) play(unsigned int flags, const struct act *last)
{
	const struct rollback_options options = {.flags = flags, .way = ROLLBACK_LIST};
	int again, act;

	shared->stack = (uintptr_t)__builtin_frame_address(0) - 16;
	again = rollback__take(&shared->rollback, &options);
	if (again < 0)
		_exit(-again);
	if (getpid() != target)
		be_child();
	if (again) {
		note();
	} else {
		NEED(!rollback__exclude(shared->rollback, excluded(), 1));
		copy_all();
	}
	random__seed(shared->seed + shared->round);
	act = next_act(flags);
	if (act < 0) {
		shared->finished = 1;
		return;
	}
	shared->round++;
	shared->act = (unsigned int)act;
	shared->listed_before = rollback__stats(shared->rollback)->listed;
	(act == LAST_ACT ? last : &acts[act])->act();
	rollback__back(shared->rollback);
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
	const struct rollback_range range = {large, LARGE};
	const struct rollback_options options = {.flags = ROLLBACK_FIXED_STATE,
						 .way = ROLLBACK_LIST,
						 .ranges = &range,
						 .range_count = 1};
	int err = rollback__take(&shared->rollback, &options);

	if (err)
		_exit(is_closed() ? SKIPPED : 1);
	memcpy(shared->copy, large, LARGE);
	for (shared->round = 0; shared->round < RANDOM_ROUNDS; shared->round++) {
		if (shared->round % 23 == 22)
			discard();
		else if (shared->round % 5)
			write_others();
		else
			write_same();
		NEED(!rollback__restore(shared->rollback));
		shared->rounds[0]++;
		shared->same[0] += memcmp(shared->copy, large, LARGE) == 0;
	}
	shared->listed[0] = (unsigned int)rollback__stats(shared->rollback)->listed;
	rollback__free(shared->rollback);
	_exit(0);
}

/* Becomes a process of another user. A child that stays root's starts its tracer. */
static void be_nobody(void)
{
	const pid_t pid = fork();

	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (!__atomic_load_n(&shared->asked, __ATOMIC_ACQUIRE))
			(void)usleep(1000);
		shared->tracer = own_tracer__start(tracer_path, target);
		__atomic_store_n(&shared->asked, 0, __ATOMIC_RELEASE);
		(void)pause();
	}
	must(pid < 0 || setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY));
	must(prctl(PR_SET_DUMPABLE, 1)); /* as if that user had started it */
	ask(1);
}

static void be_target(unsigned int flags, const struct act *last)
{
	uint64_t self, tid_address = 0;

	target = getpid();
	__asm__("mov %%fs:0, %0" : "=r"(self));
	must(prctl(PR_GET_TID_ADDRESS, &tid_address));
	shared->ignored[0] = (struct range){tid_address, tid_address + 4};
	if (&__rseq_offset)
		shared->ignored[1] = (struct range){self + (uint64_t)__rseq_offset,
						    self + (uint64_t)__rseq_offset + RSEQ_BYTES};
	shared->ignored[2] = (struct range){(uintptr_t)excluded(), (uintptr_t)excluded() + 1};
	if (last)
		shared->tracer = own_tracer__start(tracer_path, target);
	else
		be_nobody();
	must(shared->tracer <= 0);
	random__seed(shared->seed);
	if (!last)
		restore_range();
	if (fork() == 0)
		help();
	read_ranges();
	(void)is_same(); /* the first call of a function writes its address */
	shared->difference = 0;
	play(flags, last);
	rollback__free(shared->rollback);
	_exit(shared->finished ? 0 : 1);
}

/* ---- the test ---- */

static void map_memory(void)
{
	char path[] = "/tmp/rollback-listed.XXXXXX";
	const int fd = mkstemp(path);

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	large = mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	empty = mmap(NULL, EMPTY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(shared == MAP_FAILED || large == MAP_FAILED || empty == MAP_FAILED);
	(void)madvise(large, LARGE, MADV_NOHUGEPAGE);
	(void)madvise(empty, EMPTY, MADV_HUGEPAGE);
	for (size_t i = 0; i < LARGE; i++)
		large[i] = (unsigned char)(i * 2654435761U >> 13);
	must(fd < 0 || unlink(path) || ftruncate(fd, 7 * PAGE));
	file = mmap(NULL, 7 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	must(file == MAP_FAILED || close(fd));
	file[PAGE] = 1;
}

static void show(unsigned int flags, const char *name, unsigned int act, enum found found)
{
	if (!shared->rounds[act])
		return;
	tap__equal(shared->same[act], shared->rounds[act], "flags %u, %s: memory is as before",
		   flags, name);
	if (found == LISTED)
		tap__ok(shared->listed[act] > 0, "without a scan");
	else
		tap__equal(shared->listed[act], 0, "by a scan");
}

static void show_all(unsigned int flags, const struct act *last)
{
	for (unsigned int i = 0; i < ACTS; i++)
		show(flags, acts[i].name, i, acts[i].found);
	show(flags, last->name, LAST_ACT, SCANNED);
	tap__equal(shared->way, ROLLBACK_PROTECT, "then it goes on without a list");
	tap__ok(!shared->child_differs && shared->child_way == ROLLBACK_PROTECT,
		"a child has no list");
	if (shared->difference)
		tap__note("a byte that differs: %#lx", shared->difference);
}

/* last: how the list ends; NULL: a checkpoint of a range. */
static void run(uint64_t seed, unsigned int flags, const struct act *last)
{
	int status;
	pid_t pid;

	map_memory();
	shared->seed = seed;
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
	tap__equal(shared->failed_line, 0, "no act fails");
	if (last)
		show_all(flags, last);
	else
		show(flags, "a range, of another user", 0, LISTED);
out:
	must(munmap(large, LARGE) || munmap(empty, EMPTY) || munmap(file, 7 * PAGE));
	must(munmap(shared, sizeof(*shared)));
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
	static const struct act ends[] = {
		{"the tracer is killed", kill_tracer, SCANNED, true},
		{"the tracer is detached", detach_tracer, SCANNED, true},
		{"pages are freed lazily", free_lazily, SCANNED, true},
	};
	const uint64_t seed = random__seed_of(argc, argv, 23);

	tap__plan(TESTS);
	tracer_path = own_tracer__path(argv[0]);
	if (geteuid() != 0 || !can_protect()) {
		tap__skip(TESTS, "only root lists faults, with Linux 6.7 or later");
		return tap__done();
	}
	run(seed, 0, &ends[0]);
	run(seed, ROLLBACK_FIXED_MAPPINGS, &ends[1]);
	run(seed, ROLLBACK_FIXED_STATE, &ends[2]);
	run(seed, ROLLBACK_FIXED_STATE, NULL);
	return tap__done();
}
