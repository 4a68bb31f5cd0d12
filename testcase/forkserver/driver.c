/* SPDX-License-Identifier: BSD-2-Clause
 *
 * driver [OPTION...] -- TARGET [ARG...]: what afl-fuzz does with the fork server of a target,
 * without its search: plays inputs and prints a line for each, "23 exit 0 map SUM", from the status
 * and the coverage map. The last line on stderr is "RUNS runs, CHILDREN children". Works with
 * targets that were built for afl-fuzz. DRIVER_PRELOAD is their LD_PRELOAD.
 *
 *	-n RUNS     random inputs (23), 0 to 63 bytes
 *	-i FOLDER   inputs are files of this folder in which some bytes are changed at random
 *	-s SEED     of what is random (23)
 *	-w FOLDER   keep the inputs there
 *	-f FILE     where an input is written (the target's stdin if not given)
 *	-t MS       kill a child that runs longer (never)
 *	-k EACH     kill each EACHth child right after its run, as if it had been too slow
 *	-m BYTES    size of the coverage map (65536)
 *	-q          no lines, only what is on stderr, with the time of a run
 *
 * Exit status: 0, 1 if something failed, 2 if called wrongly.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../limit.h"
#include "../unit/random.h"
#include "base/clock.h"
#include "base/parse.h"
#include "forkserver/protocol.h"

enum { INPUT_BYTES = 1 << 20, RANDOM_BYTES = 64 };

#define LIMIT_MS (LIMIT_SECONDS * UINT64_C(1000))

static struct {
	uint64_t runs, seed, timeout_ms, kill_each, map_bytes;
	const char *seeds, *kept, *file;
	bool is_quiet;
	char **target;
} options = {.runs = 23, .seed = 23, .timeout_ms = LIMIT_MS, .map_bytes = 65536};

static struct {
	int commands, answers, input; /* descriptors */
	int map_id;
	uint64_t *map;
	uint32_t was_killed;
	pid_t server, last_child;
	uint64_t children;
} driver;

__attribute__((noreturn)) static void fail(const char *what)
{
	(void)fprintf(stderr, "driver: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- options ---- */

__attribute__((noreturn)) static void usage(void)
{
	(void)fputs("usage: driver [-q] [-n RUNS] [-i FOLDER] [-s SEED] [-w FOLDER] [-f FILE] "
		    "[-t MS] [-k EACH] [-m BYTES] -- TARGET [ARG...]\n",
		    stderr);
	exit(2);
}

static void read_number(const char *text, uint64_t max, uint64_t *ret_number)
{
	if (parse__u64(text, 0, max, ret_number) != 0)
		usage();
}

static void read_options(int argc, char **argv)
{
	for (int option; (option = getopt(argc, argv, "+qn:i:s:w:f:t:k:m:")) != -1;) {
		if (option == 'q')
			options.is_quiet = true;
		else if (option == 'n')
			read_number(optarg, UINT32_MAX, &options.runs);
		else if (option == 'i')
			options.seeds = optarg;
		else if (option == 'w')
			options.kept = optarg;
		else if (option == 's')
			read_number(optarg, UINT64_MAX, &options.seed);
		else if (option == 'f')
			options.file = optarg;
		else if (option == 't')
			read_number(optarg, LIMIT_MS, &options.timeout_ms);
		else if (option == 'k')
			read_number(optarg, UINT32_MAX, &options.kill_each);
		else if (option == 'm')
			read_number(optarg, 1 << 26, &options.map_bytes);
		else
			usage();
	}
	options.target = argv + optind;
	if (!*options.target)
		usage();
}

/* ---- the target ---- */

static void make_map(void)
{
	char text[32];

	driver.map_id = shmget(IPC_PRIVATE, options.map_bytes, IPC_CREAT | 0600);
	if (driver.map_id < 0)
		fail("shmget");
	driver.map = shmat(driver.map_id, NULL, 0);
	(void)shmctl(driver.map_id, IPC_RMID, NULL); /* it is gone with the last process */
	if (driver.map == (void *)-1)
		fail("shmat");
	(void)snprintf(text, sizeof(text), "%d", driver.map_id);
	if (setenv("__AFL_SHM_ID", text, 1) != 0)
		fail("setenv");
	(void)snprintf(text, sizeof(text), "%" PRIu64, options.map_bytes);
	if (setenv("AFL_MAP_SIZE", text, 1) != 0)
		fail("setenv");
}

static void open_input(void)
{
	char name[] = "/tmp/forkserver-input.XXXXXX";

	if (options.file) {
		driver.input = open(options.file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	} else {
		driver.input = mkostemp(name, O_CLOEXEC);
		(void)unlink(name);
	}
	if (driver.input < 0)
		fail("cannot make the input");
}

__attribute__((noreturn)) static void become_target(int commands, int answers)
{
	const char *preload = getenv("DRIVER_PRELOAD");

	if (preload)
		(void)setenv("LD_PRELOAD", preload, 1);
	if (!options.file && dup2(driver.input, STDIN_FILENO) < 0)
		fail("dup2");
	if (dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDOUT_FILENO) < 0 ||
	    dup2(commands, COMMAND_FD) < 0 || dup2(answers, ANSWER_FD) < 0)
		fail("dup2");
	(void)execv(*options.target, options.target);
	fail(*options.target);
}

static void start_target(void)
{
	int commands[2], answers[2];
	uint32_t hello;

	if (pipe2(commands, O_CLOEXEC) != 0 || pipe2(answers, O_CLOEXEC) != 0)
		fail("pipe2");
	driver.server = fork();
	if (driver.server < 0)
		fail("fork");
	if (driver.server == 0)
		become_target(commands[0], answers[1]);
	(void)close(commands[0]);
	(void)close(answers[1]);
	driver.commands = commands[1];
	driver.answers = answers[0];
	if (read(driver.answers, &hello, sizeof(hello)) != sizeof(hello))
		fail("no fork server says hello");
}

/* ---- a run ---- */

static void write_input(const void *input, size_t bytes)
{
	if (lseek(driver.input, 0, SEEK_SET) != 0 ||
	    write(driver.input, input, bytes) != (ssize_t)bytes ||
	    ftruncate(driver.input, (off_t)bytes) != 0 || lseek(driver.input, 0, SEEK_SET) != 0)
		fail("cannot write the input");
}

static uint32_t read_answer(void)
{
	uint32_t answer;

	if (read(driver.answers, &answer, sizeof(answer)) != sizeof(answer))
		fail("the fork server has no answer");
	return answer;
}

/* Is it in pause(2)? All else may only be slow. */
static int hangs(pid_t child)
{
	char path[32], number[8] = "";
	FILE *call;

	(void)snprintf(path, sizeof(path), "/proc/%d/syscall", child);
	call = fopen(path, "re");
	if (call && !fgets(number, sizeof(number), call))
		number[0] = '\0';
	if (call)
		(void)fclose(call);
	return atoi(number) == SYS_pause;
}

static uint32_t wait_for_status(pid_t child)
{
	struct pollfd answers = {.fd = driver.answers, .events = POLLIN};

	while (!driver.was_killed && poll(&answers, 1, (int)options.timeout_ms) == 0) {
		if (!hangs(child))
			continue;
		(void)kill(child, SIGKILL);
		driver.was_killed = 1;
	}
	return read_answer();
}

/* FNV-1a over 64 bits at a time; 0 for an empty map */
static uint64_t sum_map(void)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < options.map_bytes / sizeof(*driver.map); i++)
		if (driver.map[i])
			sum = ((sum ^ driver.map[i]) * 0x100000001b3) ^ (i * 0x9e3779b97f4a7c15);
	return sum;
}

static void play(uint64_t number, const void *input, size_t bytes)
{
	pid_t child;
	uint32_t status;

	write_input(input, bytes);
	memset(driver.map, 0, options.map_bytes);
	if (write(driver.commands, &driver.was_killed, sizeof(driver.was_killed)) !=
	    sizeof(driver.was_killed))
		fail("the fork server takes no command");
	driver.was_killed = 0;
	child = (pid_t)read_answer();
	if (child <= 0)
		fail("the fork server has no child");
	driver.children += child != driver.last_child;
	driver.last_child = child;
	status = wait_for_status(child);
	if (options.kill_each && number % options.kill_each == 0 && !driver.was_killed) {
		(void)kill(child, SIGKILL);
		driver.was_killed = 1;
	}
	if (!options.is_quiet)
		(void)printf("%" PRIu64 " %s %d map %016" PRIx64 "\n", number,
			     WIFEXITED(status) ? "exit" : "signal",
			     WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), sum_map());
}

/* ---- inputs ---- */

enum { SEEDS_MAX = 64 };

static struct {
	unsigned char bytes[INPUT_BYTES];
	size_t length;
} seeds[SEEDS_MAX];
static size_t seed_count;

static void read_seed(int folder, const char *name)
{
	const int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		fail(name);
	got = read(fd, seeds[seed_count].bytes, INPUT_BYTES);
	if (got < 0)
		fail(name);
	seeds[seed_count++].length = (size_t)got;
	(void)close(fd);
}

static void read_seeds(void)
{
	const int folder = open(options.seeds, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent **names;
	const int count = scandir(options.seeds, &names, NULL, alphasort);

	if (folder < 0 || count < 0)
		fail(options.seeds);
	for (int i = 0; i < count && seed_count < SEEDS_MAX; i++)
		if (names[i]->d_name[0] != '.')
			read_seed(folder, names[i]->d_name);
	if (!seed_count)
		fail("no file in the folder");
}

/* An input from a seed: some bytes are changed, sometimes the end is cut off. */
static size_t change_seed(unsigned char *input)
{
	const size_t seed = random__below(seed_count);
	size_t length = seeds[seed].length;

	memcpy(input, seeds[seed].bytes, length);
	if (length > 0 && random__below(8) == 0)
		length = random__below(length);
	for (uint64_t changes = random__below(23); length > 0 && changes > 0; changes--)
		input[random__below(length)] = (unsigned char)random__next();
	return length;
}

static size_t make_random(unsigned char *input)
{
	const size_t length = random__below(RANDOM_BYTES);

	for (size_t i = 0; i < length; i++)
		input[i] = (unsigned char)random__next();
	return length;
}

static void keep(uint64_t number, const void *input, size_t length)
{
	char name[4096];
	int fd;

	(void)snprintf(name, sizeof(name), "%s/%06" PRIu64, options.kept, number);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, input, length) != (ssize_t)length || close(fd) != 0)
		fail(name);
}

static void play_all(void)
{
	static unsigned char input[INPUT_BYTES];

	random__seed(options.seed);
	if (options.seeds)
		read_seeds();
	for (uint64_t run = 1; run <= options.runs; run++) {
		const size_t length = options.seeds ? change_seed(input) : make_random(input);

		if (options.kept)
			keep(run, input, length);
		play(run, input, length);
	}
}

/* The server ends when nobody asks it any more, and leaves no child behind. */
static void end_target(void)
{
	const int child = (int)syscall(SYS_pidfd_open, driver.last_child, 0);
	struct pollfd end = {.fd = child, .events = POLLIN};

	(void)close(driver.commands);
	(void)waitpid(driver.server, NULL, 0);
	if (child >= 0 && poll(&end, 1, (int)LIMIT_MS) != 1)
		fail("a child is left behind");
}

int main(int argc, char **argv)
{
	uint64_t begin_ns;

	read_options(argc, argv);
	make_map();
	open_input();
	start_target();
	begin_ns = clock__now_ns();
	play_all();
	if (options.is_quiet)
		(void)fprintf(stderr, "%.2f us a run\n",
			      (double)(clock__now_ns() - begin_ns) / 1000 / (double)options.runs);
	end_target();
	(void)fprintf(stderr, "%" PRIu64 " runs, %" PRIu64 " children\n", options.runs,
		      driver.children);
	return fflush(stdout) == 0 ? 0 : 1;
}
