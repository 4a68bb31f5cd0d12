/* SPDX-License-Identifier: BSD-2-Clause
 *
 * bench_attach TRACER [ROUNDS]: measures `tracer -p` on processes of several sizes, beside a bare
 * stop-and-go of the same threads by ptrace(2). Before each operation the process writes some
 * pages. Prints a table of medians, then the goals of docs/performance.md. Each round measures
 * everything once, so a noisy minute spoils all figures alike.
 *
 * Another process does the bare stops, the stopper. It is asked over a socket as the tracer is, so
 * both begin in the same state: just woken, with nothing in the caches, the target asleep or
 * running on another processor.
 */
#include <dirent.h>
#include <elf.h>
#include <linux/capability.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/parse.h"
#include "bench.h"

enum {
	PAGE = 4096,
	DIRTY = 4,     /* pages, in most processes */
	STRIDE = 4099, /* pages between two writes of a process that moves */
	FORKS = 5,     /* they take long */
	ROUNDS = 1000, /* at most */
	THREADS = 64,  /* at most */
	STATE = 16384, /* bytes of extended state, at most */
	CALLS = 5001,  /* of the kernel, timed together */
};

enum figure { BARE, REGISTERS, ROLLBACK, CHECKPOINT, REQUEST, TRIP, CALL, OTHERS_CALL, FIGURES };

/* What is measured. */
struct process {
	size_t bytes;
	unsigned int threads, dirty; /* pages that it writes before each operation */
	enum state {
		WAITS,
		RUNS,  /* it computes while it waits */
		SCANS, /* it waits; the tracer has no list of faults */
		MOVES, /* it waits; it writes other pages each time */
	} state;
};

struct bench {
	const char *tracer;
	struct process process;
	unsigned int rounds;
	unsigned char *memory; /* of the target; the same address here */
	uint64_t *written;     /* by the target: pages so far; shared, so it is not rolled back */
	pid_t target, tracer_pid;
	pid_t stopper;
	int channel;  /* to the target: a letter asks, a letter answers */
	int stopping; /* to the stopper: a letter asks, a duration answers */
	int control;  /* to the tracer */
	double ns[FIGURES][ROUNDS];
	double fork_ns[FORKS];
	double free_call_ns[FORKS]; /* of the target, without a tracer */
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

static void call_kernel(void)
{
	for (int i = 0; i < CALLS; i++)
		(void)syscall(SYS_getppid);
}

static void fork_and_end(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	(void)waitpid(pid, NULL, 0);
}

static void write_pages(const struct bench *bench)
{
	const struct process *process = &bench->process;
	const size_t pages = process->bytes / PAGE;

	for (unsigned int i = 0; i < process->dirty; i++)
		if (process->state == MOVES)
			bench->memory[(*bench->written)++ * STRIDE % pages * PAGE]++;
		else
			bench->memory[pages / process->dirty * i * PAGE]++;
}

/* Waits for a letter; computing if it runs. */
static bool hear(const struct bench *bench, int channel, char *letter)
{
	ssize_t bytes;

	do
		bytes = recv(channel, letter, 1, bench->process.state == RUNS ? MSG_DONTWAIT : 0);
	while (bytes < 0 && errno == EAGAIN);
	return bytes == 1;
}

/* Does what it is asked to, and answers. A rollback brings it back to where it waits. */
static void be_target(const struct bench *bench, int channel)
{
	pthread_t thread;
	char letter;

	for (unsigned int i = 1; i < bench->process.threads; i++)
		if (pthread_create(&thread, NULL, rest, NULL))
			_exit(1);
	memset(bench->memory, 1, bench->process.bytes);
	while (hear(bench, channel, &letter)) {
		if (letter == 'w')
			write_pages(bench);
		if (letter == 'f')
			fork_and_end();
		if (letter == 'c')
			call_kernel();
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

	bench->memory = mmap(NULL, bench->process.bytes, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bench->written =
		mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (bench->memory == MAP_FAILED || bench->written == MAP_FAILED ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
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

/* Without rights to load BPF programs there is no list of faults, and memory is scanned. */
static void drop_rights(void)
{
	static const int rights[] = {CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN};

	for (size_t i = 0; i < sizeof(rights) / sizeof(*rights); i++)
		if (prctl(PR_CAPBSET_DROP, rights[i], 0, 0, 0))
			_exit(126);
}

static void start_tracer(struct bench *bench)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", bench->target);
	snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/bench-attach.%d", getpid());
	bench->control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bench->tracer_pid = fork();
	if (!bench->tracer_pid) {
		if (bench->process.state == SCANS)
			drop_rights();
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

/* ---- the stopper ---- */

struct thread {
	pid_t tid;
	struct user_regs_struct registers;
	uint64_t mask;
	char state[STATE];
	struct iovec extended;
};

static size_t find_threads(pid_t pid, struct thread *threads)
{
	char path[32];
	struct dirent *entry;
	size_t count = 0;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	folder = opendir(path);
	while (folder && count < THREADS && (entry = readdir(folder)))
		if (*entry->d_name != '.')
			threads[count++].tid = atoi(entry->d_name);
	if (folder)
		closedir(folder);
	return count;
}

static void stop(const struct thread *threads, size_t count)
{
	for (size_t i = 0; i < count; i++)
		(void)ptrace(PTRACE_INTERRUPT, threads[i].tid, NULL, NULL);
	for (size_t i = 0; i < count; i++)
		if (waitpid(threads[i].tid, NULL, __WALL) != threads[i].tid)
			BENCH_DIE("cannot stop the target");
}

static void read_registers(struct thread *thread)
{
	thread->extended = (struct iovec){thread->state, sizeof(thread->state)};
	(void)ptrace(PTRACE_GETREGS, thread->tid, NULL, &thread->registers);
	(void)ptrace(PTRACE_GETSIGMASK, thread->tid, (void *)sizeof(thread->mask), &thread->mask);
	(void)ptrace(PTRACE_GETREGSET, thread->tid, (void *)NT_X86_XSTATE, &thread->extended);
}

static void write_registers(struct thread *thread)
{
	(void)ptrace(PTRACE_SETREGSET, thread->tid, (void *)NT_X86_XSTATE, &thread->extended);
	(void)ptrace(PTRACE_SETREGS, thread->tid, NULL, &thread->registers);
	(void)ptrace(PTRACE_SETSIGMASK, thread->tid, (void *)sizeof(thread->mask), &thread->mask);
}

/* How long all threads stand still. registers: theirs are written meanwhile; the time to read them
 * does not count. */
static double stop_and_go(pid_t pid, bool registers)
{
	static struct thread threads[THREADS];
	const size_t count = find_threads(pid, threads);
	uint64_t start_ns, taken_ns;

	for (size_t i = 0; i < count; i++)
		if (ptrace(PTRACE_SEIZE, threads[i].tid, NULL, NULL))
			BENCH_DIE("cannot trace the target");
	start_ns = bench__now_ns();
	stop(threads, count);
	taken_ns = bench__now_ns() - start_ns;
	for (size_t i = 0; registers && i < count; i++)
		read_registers(&threads[i]);
	start_ns = bench__now_ns();
	for (size_t i = 0; registers && i < count; i++)
		write_registers(&threads[i]);
	for (size_t i = 0; i < count; i++)
		(void)ptrace(PTRACE_CONT, threads[i].tid, NULL, NULL);
	taken_ns += bench__now_ns() - start_ns;
	stop(threads, count);
	for (size_t i = 0; i < count; i++)
		(void)ptrace(PTRACE_DETACH, threads[i].tid, NULL, NULL);
	return (double)taken_ns;
}

static void be_stopper(pid_t pid, int channel)
{
	char letter;
	double ns;

	while (recv(channel, &letter, 1, 0) == 1) {
		ns = stop_and_go(pid, letter == 'r');
		if (write(channel, &ns, sizeof(ns)) != (ssize_t)sizeof(ns))
			break;
	}
	_exit(0);
}

static void start_stopper(struct bench *bench)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		BENCH_DIE("cannot begin");
	bench->stopper = fork();
	if (!bench->stopper) {
		close(ends[0]);
		be_stopper(bench->target, ends[1]);
	}
	close(ends[1]);
	bench->stopping = ends[0];
}

static double bare(const struct bench *bench, char letter)
{
	double ns;

	if (write(bench->stopping, &letter, 1) != 1 ||
	    read(bench->stopping, &ns, sizeof(ns)) != (ssize_t)sizeof(ns))
		BENCH_DIE("the stopper has ended");
	return ns;
}

/* ---- what else it is compared with ---- */

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

/* One system call of the target while nobody asks the tracer. */
static double call_of_target(const struct bench *bench)
{
	const uint64_t start_ns = bench__now_ns();

	ask(bench, 'c');
	return (double)(bench__now_ns() - start_ns) / CALLS;
}

static double call_of_others(void)
{
	const uint64_t start_ns = bench__now_ns();

	call_kernel();
	return (double)(bench__now_ns() - start_ns) / CALLS;
}

/* All of its memory, into memory that is there. */
static double read_memory(const struct bench *bench)
{
	struct iovec from = {bench->memory, bench->process.bytes}, to = from;
	uint64_t start_ns;

	memset(bench->memory, 2, bench->process.bytes);
	start_ns = bench__now_ns();
	if (process_vm_readv(bench->target, &to, 1, &from, 1, 0) != (ssize_t)bench->process.bytes)
		BENCH_DIE("cannot read the target");
	return (double)(bench__now_ns() - start_ns);
}

/* ---- all together ---- */

static void take_round(struct bench *bench, unsigned int i)
{
	char answer[4096];
	uint64_t start_ns;

	ask(bench, 'w');
	bench->ns[BARE][i] = bare(bench, 'b');
	ask(bench, 'w');
	bench->ns[CHECKPOINT][i] = request(bench, "checkpoint again\n");
	ask(bench, 'w');
	bench->ns[ROLLBACK][i] = request(bench, "rollback\n");
	ask(bench, 'w');
	bench->ns[REGISTERS][i] = bare(bench, 'r');
	bench->ns[TRIP][i] = trip(bench);
	start_ns = bench__now_ns();
	exchange(bench, "status\n", answer, sizeof(answer));
	bench->ns[REQUEST][i] = (double)(bench__now_ns() - start_ns);
}

/* Not in take_round: a busy process is on another processor at the next stop. */
static void time_calls(struct bench *bench, unsigned int i)
{
	bench->ns[CALL][i] = call_of_target(bench);
	bench->ns[OTHERS_CALL][i] = call_of_others();
}

/* What the goals need of one process. */
struct summary {
	double figures[FIGURES];
	double forked, first, free_call;
};

static void print(const struct bench *bench, const struct summary *summary)
{
	static const char *const states[] = {
		[WAITS] = "waits", [RUNS] = "runs", [SCANS] = "scan", [MOVES] = "moves"};
	const struct process *process = &bench->process;
	const double *us = summary->figures;

	printf("%7zu %7u %5u %5s %6.1f %9.1f %8.1f %5.2f %10.1f %5.2f %7.1f %5.2f %9.1f %6.1f "
	       "%5.2f\n",
	       process->bytes >> 10, process->threads, process->dirty, states[process->state],
	       us[BARE] / 1000, us[REGISTERS] / 1000, us[ROLLBACK] / 1000, us[ROLLBACK] / us[BARE],
	       us[CHECKPOINT] / 1000, us[CHECKPOINT] / us[BARE], us[REQUEST] / 1000,
	       us[REQUEST] / us[TRIP], summary->forked / 1000, summary->forked / us[ROLLBACK],
	       summary->first);
}

static void end(pid_t pid, int signal)
{
	(void)kill(pid, signal);
	(void)waitpid(pid, NULL, 0);
}

static void measure(struct bench *bench, struct summary *ret_summary)
{
	double first_ns, read_ns;

	start_target(bench);
	for (int i = 0; i < FORKS; i++) {
		bench->fork_ns[i] = fork_of_target(bench);
		bench->free_call_ns[i] = call_of_target(bench);
	}
	read_ns = read_memory(bench);
	start_stopper(bench);
	start_tracer(bench);
	first_ns = request(bench, "checkpoint first\n");
	for (unsigned int i = 0; i < bench->rounds; i++)
		take_round(bench, i);
	for (unsigned int i = 0; i < bench->rounds; i++)
		time_calls(bench, i);
	ret_summary->first = first_ns / read_ns;
	ret_summary->forked = median(bench->fork_ns, FORKS);
	ret_summary->free_call = median(bench->free_call_ns, FORKS);
	for (int i = 0; i < FIGURES; i++)
		ret_summary->figures[i] = median(bench->ns[i], bench->rounds);
	print(bench, ret_summary);
	end(bench->tracer_pid, SIGTERM);
	end(bench->stopper, SIGKILL);
	end(bench->target, SIGKILL);
	close(bench->control);
	close(bench->stopping);
	close(bench->channel);
	munmap(bench->memory, bench->process.bytes);
	munmap(bench->written, PAGE);
}

/* ---- the goals ---- */

enum row {
	SMALL,
	MEDIUM,
	LARGE,
	HUGE,
	HUGE_SCAN,
	SMALL_RUNS,
	HUGE_RUNS,
	TWO,
	EIGHT,
	HUGE_HOT,
	HUGE_MOVES,
	PROCESSES
};

static void judge(const char *what, double value, double goal, bool at_least)
{
	printf("  %-4s %7.2f  %s (goal: at %s %g)\n",
	       (at_least ? value >= goal : value <= goal) ? "met" : "not", value, what,
	       at_least ? "least" : "most", goal);
}

/* The time of each further thread, by the row of eight. */
static double further(const struct summary *summaries, enum figure figure)
{
	return (summaries[EIGHT].figures[figure] - summaries[SMALL].figures[figure]) / 7;
}

static void judge_all(const struct summary *of)
{
	const double *small = of[SMALL].figures, *runs = of[SMALL_RUNS].figures;
	const double *large = of[LARGE].figures, *huge = of[HUGE].figures;

	printf("a system call: %.0f ns, of the attached process %.0f, of others meanwhile %.0f\n",
	       of[SMALL].free_call, small[CALL], small[OTHERS_CALL]);
	printf("goals\n");
	judge("rollback to bare, waiting", small[ROLLBACK] / small[BARE], 2, false);
	judge("rollback to bare, running", runs[ROLLBACK] / runs[BARE], 2, false);
	judge("rollback of 1 GiB to that of 64 KiB", huge[ROLLBACK] / small[ROLLBACK], 1.5, false);
	judge("further checkpoint of 256 MiB to bare", large[CHECKPOINT] / large[BARE], 4, false);
	judge("first checkpoint of 256 MiB to process_vm_readv", of[LARGE].first, 1.3, false);
	judge("request to a round trip", small[REQUEST] / small[TRIP], 2, false);
	judge("a further thread of a rollback to its stop, registers and go",
	      further(of, ROLLBACK) / further(of, REGISTERS), 1, false);
	judge("fork and exit of 1 GiB to a rollback", of[HUGE].forked / huge[ROLLBACK], 60, true);
	judge("the same, by a scan", of[HUGE_SCAN].forked / of[HUGE_SCAN].figures[ROLLBACK], 60,
	      true);
}

int main(int argc, char **argv)
{
	static const struct process processes[PROCESSES] = {
		[SMALL] = {64 << 10, 1, DIRTY, WAITS},
		[MEDIUM] = {16 << 20, 1, DIRTY, WAITS},
		[LARGE] = {256 << 20, 1, DIRTY, WAITS},
		[HUGE] = {1 << 30, 1, DIRTY, WAITS},
		[HUGE_SCAN] = {1 << 30, 1, DIRTY, SCANS},
		[SMALL_RUNS] = {64 << 10, 1, DIRTY, RUNS},
		[HUGE_RUNS] = {1 << 30, 1, DIRTY, RUNS},
		[TWO] = {64 << 10, 2, DIRTY, WAITS},
		[EIGHT] = {64 << 10, 8, DIRTY, WAITS},
		[HUGE_HOT] = {1 << 30, 1, 10 * DIRTY, WAITS},
		[HUGE_MOVES] = {1 << 30, 1, DIRTY, MOVES},
	};
	struct summary summaries[PROCESSES];
	static struct bench bench;
	uint64_t rounds = 200;

	bench__check_usage(argc, argv,
			   argc < 2 || argc > 3 ||
				   (argc == 3 && parse__u64(argv[2], 1, ROUNDS, &rounds)),
			   "bench_attach TRACER [ROUNDS]");
	bench.tracer = argv[1];
	bench.rounds = (unsigned int)rounds;
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("    KiB threads dirty state   bare registers rollback ratio checkpoint ratio "
	       "request trips   fork us  ratio first\n");
	for (size_t i = 0; i < PROCESSES; i++) {
		bench.process = processes[i];
		measure(&bench, &summaries[i]);
	}
	judge_all(summaries);
	return 0;
}
