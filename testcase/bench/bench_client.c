/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Run by bench.sh under the tracer: checkpoints and restores one private mapping, and in the same
 * loop moves the same bytes with memcpy, with process_vm_readv and process_vm_writev from another
 * process, and with fork, so that noise hits all of them alike.
 *
 * A restore rolls back every anonymous byte of this process. So the samples and the copy of memcpy
 * are on the stack or in shared file mappings (memfd_create(2)), which are not tracked. The other
 * process is not the target.
 */
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/parse.h"
#include "bench.h"
#include "client/client.h"

enum { PAGE = 4096, PAGE_WORDS = PAGE / 8, SMALL = 65536, DIRTY_PAGES = 4, SAMPLES_PER_ROUND = 9 };

#define MOST_AT_ONCE (1ULL << 30)

struct sample {
	const char *op, *variant; /* string literals */
	uint64_t sequence;
	double ns;
};

struct helper { /* the process at the other end of the pipes */
	int ask_fd, answer_fd;
};

struct question {
	uint64_t address; /* in the client */
	uint64_t write;   /* 0 process_vm_readv, 1 process_vm_writev */
};

struct bench { /* on the stack of main */
	const char *engine, *samples_path;
	uint64_t bytes, min_rounds, max_rounds, budget_ms, seed;
	uint64_t *area; /* tracked */
	void *copy;     /* not tracked */
	struct sample *samples;
	uint64_t count, requests;
	struct helper helper;
};

/* The restores of a round, by the share of pages that was written since the checkpoint. The restore
 * of nothing comes first, right after the checkpoint that it is compared with. */
static const struct share {
	const char *variant;
	uint64_t percent;
} shares[] = {{"dirty_0", 0}, {"dirty_1", 1}, {"dirty_10", 10}, {"dirty_100", 100}};

/* ---- content ---- */

static uint64_t mix(uint64_t x) /* splitmix64, Sebastiano Vigna, public domain */
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

/* Each page has a sequence of its own, made from its number. It is cheap to write and to check, and
 * a page in a wrong place or of another round is noticed. */
static uint64_t word(uint64_t start, uint64_t i)
{
	return start + i * 0xd1342543de82ef95;
}

static void fill_page(uint64_t *page, uint64_t start)
{
	for (uint64_t i = 0; i < PAGE_WORDS; i++)
		page[i] = word(start, i);
}

static void fill(const struct bench *bench, uint64_t seed)
{
	for (uint64_t page = 0; page < bench->bytes / PAGE; page++)
		fill_page(bench->area + page * PAGE_WORDS, mix(seed + page));
}

/* Writes every byte of so many pages, which lie at even distances. */
static void dirty(const struct bench *bench, uint64_t count, uint64_t seed)
{
	uint64_t pages = bench->bytes / PAGE;

	for (uint64_t i = 0; i < count; i++)
		fill_page(bench->area + i * pages / count * PAGE_WORDS, mix(~seed + i));
}

static bool is_page_right(const uint64_t *page, uint64_t start)
{
	uint64_t differs = 0;

	for (uint64_t i = 0; i < PAGE_WORDS; i++)
		differs |= page[i] ^ word(start, i);
	return !differs;
}

static void verify(const struct bench *bench, uint64_t seed, const char *when)
{
	errno = 0;
	for (uint64_t page = 0; page < bench->bytes / PAGE; page++)
		if (!is_page_right(bench->area + page * PAGE_WORDS, mix(seed + page)))
			BENCH_DIE("wrong byte in page %lu of %lu bytes %s (seed %lu)",
				  (unsigned long)page, (unsigned long)bench->bytes, when,
				  (unsigned long)seed);
}

/* ---- the other process ---- */

/* In one call for each GiB: the kernel moves less than 2 GiB in one. */
static ssize_t move(pid_t client, void *buffer, uint64_t bytes, const struct question *question)
{
	ssize_t done = 0, moved = 1;

	while (moved > 0 && (uint64_t)done < bytes) {
		uint64_t left = bytes - (uint64_t)done;
		struct iovec here = {.iov_base = (char *)buffer + done,
				     .iov_len = left < MOST_AT_ONCE ? left : MOST_AT_ONCE};
		struct iovec there = {
			.iov_base = (void *)(uintptr_t)(question->address + (uint64_t)done),
			.iov_len = here.iov_len};

		moved = question->write ? process_vm_writev(client, &here, 1, &there, 1, 0)
					: process_vm_readv(client, &here, 1, &there, 1, 0);
		done += moved;
	}
	return moved > 0 ? done : -1;
}

static void serve(pid_t client, uint64_t bytes, int ask_fd, int answer_fd)
{
	void *buffer = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	struct question question;

	if (buffer == MAP_FAILED)
		_exit(1);
	while (read(ask_fd, &question, sizeof(question)) == sizeof(question)) {
		uint64_t start_ns = bench__now_ns(), answer;
		ssize_t moved = move(client, buffer, bytes, &question);

		answer = bench__now_ns() - start_ns;
		if (moved != (ssize_t)bytes)
			answer = 0;
		if (write(answer_fd, &answer, sizeof(answer)) != sizeof(answer))
			break;
	}
	_exit(0);
}

static void start_helper(struct bench *bench)
{
	pid_t client = getpid(), helper;
	int ask[2], answer[2];

	if (pipe2(ask, O_CLOEXEC) || pipe2(answer, O_CLOEXEC))
		BENCH_DIE("cannot make pipes");
	helper = fork();
	if (helper < 0)
		BENCH_DIE("cannot fork");
	if (!helper) {
		close(ask[1]);
		close(answer[0]);
		serve(client, bench->bytes, ask[0], answer[1]);
	}
	(void)prctl(PR_SET_PTRACER, helper); /* fails without Yama, which then forbids nothing */
	close(ask[0]);
	close(answer[1]);
	bench->helper = (struct helper){.ask_fd = ask[1], .answer_fd = answer[0]};
}

static double ask_helper(const struct bench *bench, bool write_back)
{
	struct question question = {.address = (uintptr_t)bench->area, .write = write_back};
	uint64_t answer = 0;

	if (write(bench->helper.ask_fd, &question, sizeof(question)) != sizeof(question) ||
	    read(bench->helper.answer_fd, &answer, sizeof(answer)) != sizeof(answer) || !answer) {
		errno = 0;
		BENCH_DIE("process_vm_%s of %lu bytes failed", write_back ? "writev" : "readv",
			  (unsigned long)bench->bytes);
	}
	return (double)answer;
}

/* ---- what is measured ---- */

static void note(struct bench *bench, const char *op, const char *variant, uint64_t sequence,
		 double ns)
{
	bench->samples[bench->count++] =
		(struct sample){.op = op, .variant = variant, .sequence = sequence, .ns = ns};
}

/* A fork keeps the memory as it is, as a checkpoint does. The child writes a few pages and ends. */
static double time_fork(const struct bench *bench)
{
	uint64_t start_ns = bench__now_ns(), step = bench->bytes / DIRTY_PAGES / sizeof(uint64_t);
	volatile uint64_t *area = bench->area;
	int status;
	pid_t pid = fork();

	if (pid < 0)
		BENCH_DIE("cannot fork");
	if (!pid) {
		for (uint64_t i = 0; i < DIRTY_PAGES; i++)
			area[i * step] = i;
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		BENCH_DIE("the forked process failed");
	return (double)(bench__now_ns() - start_ns);
}

/* Small copies are repeated, because reading the clock takes as long as one of them. */
static double time_memcpy(const struct bench *bench)
{
	uint64_t times = bench->bytes < SMALL ? SMALL / bench->bytes : 1;
	uint64_t start_ns = bench__now_ns();

	for (uint64_t i = 0; i < times; i++) {
		memcpy(bench->copy, bench->area, bench->bytes);
		__asm__ volatile("" ::: "memory"); /* keeps it in the loop */
	}
	return (double)(bench__now_ns() - start_ns) / (double)times;
}

static double request(struct bench *bench, int (*call)(unsigned int timeout_ms), const char *name)
{
	uint64_t start_ns = bench__now_ns(), end_ns;
	int err = call(0);

	end_ns = bench__now_ns();
	bench->requests++;
	if (err) {
		errno = 0;
		BENCH_DIE("%s %lu failed: %s", name, (unsigned long)bench->requests,
			  client__strerror(err));
	}
	return (double)(end_ns - start_ns);
}

/* variant: "-", or "first" for the checkpoint that makes the store */
static void checkpoint(struct bench *bench, const char *variant)
{
	double ns = request(bench, client__save, "checkpoint");

	note(bench, "checkpoint", variant, bench->requests, ns);
}

/* A share of less than one page is left out. */
static void restore(struct bench *bench, const struct share *share, uint64_t seed)
{
	uint64_t pages = bench->bytes / PAGE * share->percent / 100;
	double ns;

	if (share->percent && !pages)
		return;
	dirty(bench, pages, seed);
	ns = request(bench, client__restore, "restore");
	note(bench, "restore", share->variant, bench->requests, ns);
	verify(bench, seed, "after a restore");
}

/* fork comes first, because it leaves every page write-protected. A restore that is not counted and
 * the fill undo that; otherwise the next restore would. Peers come before what is compared with
 * them, as bench_collect expects. */
static void run_round(struct bench *bench, uint64_t seed)
{
	note(bench, "fork_exit", "-", 0, time_fork(bench));
	(void)request(bench, client__restore, "restore");
	fill(bench, seed);
	note(bench, "memcpy", "-", 0, time_memcpy(bench));
	note(bench, "process_vm_readv", "-", 0, ask_helper(bench, false));
	note(bench, "process_vm_writev", "-", 0, ask_helper(bench, true));
	verify(bench, seed, "after process_vm_writev");
	checkpoint(bench, "-");
	for (size_t i = 0; i < sizeof(shares) / sizeof(*shares); i++)
		restore(bench, &shares[i], seed);
}

static void *map_file(uint64_t bytes)
{
	int fd = memfd_create("bench", MFD_CLOEXEC);
	void *at;

	if (fd < 0 || ftruncate(fd, (off_t)bytes))
		BENCH_DIE("cannot make a file of %lu bytes in memory", (unsigned long)bytes);
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (at == MAP_FAILED)
		BENCH_DIE("cannot map %lu bytes", (unsigned long)bytes);
	close(fd);
	return at;
}

/* The first checkpoint makes the store, and the first round touches all memory. Only the time of
 * that checkpoint is kept, as a figure of its own. */
static void run(struct bench *bench)
{
	uint64_t end_ns, rounds;

	fill(bench, bench->seed);
	checkpoint(bench, "first");
	run_round(bench, bench->seed);
	bench->count = 1;
	end_ns = bench__now_ns() + bench->budget_ms * 1000000;
	for (rounds = 0;
	     rounds < bench->min_rounds || (rounds < bench->max_rounds && bench__now_ns() < end_ns);
	     rounds++)
		run_round(bench, mix(bench->seed + rounds));
}

static void write_samples(const struct bench *bench)
{
	int fd = bench__open_samples(bench->samples_path);

	for (uint64_t i = 0; i < bench->count; i++) {
		const struct sample *sample = &bench->samples[i];

		bench__emit(fd, sample->op, sample->variant, sample->sequence ? bench->engine : "-",
			    bench->bytes, sample->sequence, sample->ns);
	}
	close(fd);
}

int main(int argc, char **argv)
{
	struct bench bench = {0};

	bench__check_usage(
		argc, argv,
		argc != 8 || parse__u64(argv[1], PAGE, 1ULL << 36, &bench.bytes) ||
			bench.bytes % PAGE || parse__u64(argv[2], 1, 100000, &bench.min_rounds) ||
			parse__u64(argv[3], bench.min_rounds, 100000, &bench.max_rounds) ||
			parse__u64(argv[4], 0, 1000000, &bench.budget_ms) ||
			parse__u64(argv[5], 0, UINT64_MAX, &bench.seed),
		"bench_client BYTES MIN_ROUNDS MAX_ROUNDS BUDGET_MS SEED ENGINE SAMPLES");
	bench.engine = argv[6];
	bench.samples_path = argv[7];
	start_helper(&bench);
	bench.samples =
		map_file((bench.max_rounds + 2) * SAMPLES_PER_ROUND * sizeof(*bench.samples));
	bench.copy = map_file(bench.bytes);
	bench.area =
		mmap(NULL, bench.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (bench.area == MAP_FAILED)
		BENCH_DIE("cannot map %lu bytes", (unsigned long)bench.bytes);
	run(&bench);
	write_samples(&bench);
	return 0;
}
