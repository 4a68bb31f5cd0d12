/* SPDX-License-Identifier: BSD-2-Clause
 *
 * bench_attach TRACER [ROUNDS]: measures `tracer -p` on processes of several sizes, which write 4
 * pages between two rollbacks, beside a bare stop-and-go of the same thread by ptrace(2), and
 * prints a table of medians. Each round measures everything once, so a noisy minute spoils all
 * figures alike. The goals of docs/performance.md are ratios of them.
 */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/parse.h"
#include "bench.h"

enum {
	PAGE = 4096,
	DIRTY = 4,     /* pages */
	FORKS = 5,     /* they take long */
	ROUNDS = 1000, /* at most */
};

enum figure { BARE, ROLLBACK, CHECKPOINT, REQUEST, TRIP, FIGURES };

struct bench {
	const char *tracer;
	size_t bytes;
	unsigned int threads, rounds;
	bool runs;             /* the target computes while it waits */
	unsigned char *memory; /* of the target; the same address here */
	pid_t target, tracer_pid;
	int channel; /* to the target: a letter asks, a letter answers */
	int control; /* to the tracer */
	double ns[FIGURES][ROUNDS];
	double fork_ns[FORKS];
};

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
	qsort(values, count, sizeof(*values), compare);
	return values[count / 2];
}

/* ---- the target ---- */

static void *rest(void *argument)
{
	for (;;)
		(void)pause();
	return argument;
}

static void fork_and_end(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	(void)waitpid(pid, NULL, 0);
}

/* Waits for a letter; computing if it runs. */
static bool hear(const struct bench *bench, int channel, char *letter)
{
	ssize_t bytes;

	do
		bytes = recv(channel, letter, 1, bench->runs ? MSG_DONTWAIT : 0);
	while (bytes < 0 && errno == EAGAIN);
	return bytes == 1;
}

/* Does what it is asked to, and answers. A rollback brings it back to where it waits. */
static void be_target(const struct bench *bench, int channel)
{
	pthread_t thread;
	char letter;

	for (unsigned int i = 1; i < bench->threads; i++)
		if (pthread_create(&thread, NULL, rest, NULL))
			_exit(1);
	memset(bench->memory, 1, bench->bytes);
	while (hear(bench, channel, &letter)) {
		for (int i = 0; letter == 'w' && i < DIRTY; i++)
			bench->memory[bench->bytes / DIRTY * (size_t)i]++;
		if (letter == 'f')
			fork_and_end();
		if (write(channel, &letter, 1) != 1)
			break;
	}
	_exit(0);
}

static void ask(const struct bench *bench, char letter)
{
	char answer;

	if (write(bench->channel, &letter, 1) != 1 || read(bench->channel, &answer, 1) != 1)
		BENCH_DIE("the target has ended");
}

static void start_target(struct bench *bench)
{
	int ends[2];

	bench->memory = mmap(NULL, bench->bytes, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (bench->memory == MAP_FAILED || socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		BENCH_DIE("cannot begin");
	bench->target = fork();
	if (!bench->target) {
		close(ends[0]);
		be_target(bench, ends[1]);
	}
	close(ends[1]);
	bench->channel = ends[0];
	ask(bench, 'r');
}

/* ---- the tracer ---- */

static void start_tracer(struct bench *bench)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", bench->target);
	snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/bench-attach.%d", getpid());
	bench->control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bench->tracer_pid = fork();
	if (!bench->tracer_pid) {
		execl(bench->tracer, "tracer", "--quiet", "-p", pid, "--control-socket",
		      address.sun_path, NULL);
		_exit(127);
	}
	while (connect(bench->control, (struct sockaddr *)&address, sizeof(address))) {
		if (waitpid(bench->tracer_pid, NULL, WNOHANG))
			BENCH_DIE("no tracer");
		usleep(1000);
	}
}

static void exchange(const struct bench *bench, const char *line, char *answer, size_t size)
{
	ssize_t bytes = 0;

	if (write(bench->control, line, strlen(line)) > 0)
		bytes = read(bench->control, answer, size - 1);
	if (bytes <= 0)
		BENCH_DIE("the tracer has ended");
	answer[bytes] = '\0';
}

/* Returns how long the target stood still. */
static double request(const struct bench *bench, const char *line)
{
	char answer[4096];
	const char *stop;

	exchange(bench, line, answer, sizeof(answer));
	stop = strstr(answer, "\"stop_ns\":");
	if (!stop)
		BENCH_DIE("%s", answer);
	return strtod(strchr(stop, ':') + 1, NULL);
}

/* ---- what it is compared with ---- */

static void stop(pid_t pid)
{
	if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) || waitpid(pid, NULL, __WALL) != pid)
		BENCH_DIE("cannot stop the target");
}

static double stop_and_go(pid_t pid)
{
	uint64_t start_ns, end_ns;

	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL))
		BENCH_DIE("cannot trace the target");
	start_ns = bench__now_ns();
	stop(pid);
	(void)ptrace(PTRACE_CONT, pid, NULL, NULL);
	end_ns = bench__now_ns();
	stop(pid);
	(void)ptrace(PTRACE_DETACH, pid, NULL, NULL);
	return (double)(end_ns - start_ns);
}

static double trip(const struct bench *bench)
{
	const uint64_t start_ns = bench__now_ns();

	ask(bench, 'r');
	return (double)(bench__now_ns() - start_ns);
}

static double fork_of_target(const struct bench *bench)
{
	const uint64_t start_ns = bench__now_ns();

	ask(bench, 'f');
	return (double)(bench__now_ns() - start_ns);
}

/* All of its memory, into memory that is there. */
static double read_memory(const struct bench *bench)
{
	struct iovec from = {bench->memory, bench->bytes}, to = from;
	uint64_t start_ns;

	memset(bench->memory, 2, bench->bytes);
	start_ns = bench__now_ns();
	if (process_vm_readv(bench->target, &to, 1, &from, 1, 0) != (ssize_t)bench->bytes)
		BENCH_DIE("cannot read the target");
	return (double)(bench__now_ns() - start_ns);
}

/* ---- all together ---- */

static void round_trip(struct bench *bench, unsigned int i)
{
	char answer[4096];
	uint64_t start_ns;

	bench->ns[BARE][i] = stop_and_go(bench->target);
	bench->ns[TRIP][i] = trip(bench);
	ask(bench, 'w');
	bench->ns[CHECKPOINT][i] = request(bench, "checkpoint again\n");
	ask(bench, 'w');
	bench->ns[ROLLBACK][i] = request(bench, "rollback\n");
	start_ns = bench__now_ns();
	exchange(bench, "status\n", answer, sizeof(answer));
	bench->ns[REQUEST][i] = (double)(bench__now_ns() - start_ns);
}

static void print(struct bench *bench, double first_ns, double read_ns)
{
	double figures[FIGURES];
	const double forked = median(bench->fork_ns, FORKS);

	for (int i = 0; i < FIGURES; i++)
		figures[i] = median(bench->ns[i], bench->rounds);
	printf("%9zu %7u %5s %7.1f %8.1f %5.2f %10.1f %5.2f %8.1f %5.2f %9.1f %6.1f %9.1f %5.2f\n",
	       bench->bytes >> 10, bench->threads, bench->runs ? "runs" : "waits",
	       figures[BARE] / 1000, figures[ROLLBACK] / 1000, figures[ROLLBACK] / figures[BARE],
	       figures[CHECKPOINT] / 1000, figures[CHECKPOINT] / figures[BARE],
	       figures[REQUEST] / 1000, figures[REQUEST] / figures[TRIP], forked / 1000,
	       forked / figures[ROLLBACK], first_ns / 1000, first_ns / read_ns);
}

static void measure(struct bench *bench)
{
	double first_ns, read_ns;

	start_target(bench);
	for (int i = 0; i < FORKS; i++)
		bench->fork_ns[i] = fork_of_target(bench);
	read_ns = read_memory(bench);
	start_tracer(bench);
	first_ns = request(bench, "checkpoint first\n");
	for (unsigned int i = 0; i < bench->rounds; i++)
		round_trip(bench, i);
	print(bench, first_ns, read_ns);
	(void)kill(bench->tracer_pid, SIGTERM);
	(void)waitpid(bench->tracer_pid, NULL, 0);
	(void)kill(bench->target, SIGKILL);
	(void)waitpid(bench->target, NULL, 0);
	close(bench->control);
	close(bench->channel);
	munmap(bench->memory, bench->bytes);
}

int main(int argc, char **argv)
{
	static const struct {
		size_t bytes;
		unsigned int threads;
		bool runs;
	} processes[] = {
		{64 << 10, 1, false}, {16 << 20, 1, false}, {256 << 20, 1, false},
		{1 << 30, 1, false},  {64 << 10, 1, true},  {256 << 20, 1, true},
		{1 << 30, 1, true},   {64 << 10, 2, false}, {64 << 10, 8, false},
	};
	static struct bench bench;
	uint64_t rounds = 200;

	bench__check_usage(argc, argv,
			   argc < 2 || argc > 3 ||
				   (argc == 3 && parse__u64(argv[2], 1, ROUNDS, &rounds)),
			   "bench_attach TRACER [ROUNDS]");
	bench.tracer = argv[1];
	bench.rounds = (unsigned int)rounds;
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("      KiB threads state bare us rollback ratio checkpoint ratio  request trips   "
	       "fork us"
	       "  ratio  first us ratio\n");
	for (size_t i = 0; i < sizeof(processes) / sizeof(*processes); i++) {
		bench.bytes = processes[i].bytes;
		bench.threads = processes[i].threads;
		bench.runs = processes[i].runs;
		measure(&bench);
	}
	return 0;
}
