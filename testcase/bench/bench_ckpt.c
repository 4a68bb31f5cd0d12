/* SPDX-License-Identifier: BSD-2-Clause
 *
 * bench_ckpt write|fork|increment|restart MIB ROUNDS: a process whose images are measured, run by
 * bench_ckpt.sh with libckpt preloaded. It raises SIGUSR2 itself, so the time of that call is the
 * time in which it stands still. Each line of output is "WHAT NUMBER", in nanoseconds or bytes. It
 * leaves the files "image" and "copy" in its folder.
 */
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

enum { PAGE = 4096, DIRTY_SHARE = 100 };

extern char **environ;

static uint64_t seed = 23;

static uint64_t random_number(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static unsigned char *make_memory(size_t bytes)
{
	uint64_t *words =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (words == MAP_FAILED)
		BENCH_DIE("cannot map %zu bytes", bytes);
	for (size_t i = 0; i < bytes / sizeof(*words); i++)
		words[i] = random_number();
	return (unsigned char *)words;
}

static void print(const char *what, uint64_t number)
{
	if (printf("%s %lu\n", what, (unsigned long)number) < 0 || fflush(stdout))
		BENCH_DIE("cannot write");
}

static uint64_t inode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_ino : 0;
}

static uint64_t stored_bytes(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		BENCH_DIE("no %s", path);
	return (uint64_t)st.st_blocks * 512;
}

/* Takes an image. Returns the time of the call. */
static uint64_t take_image(void)
{
	uint64_t before = inode_of("image"), start = bench__now_ns(), took;

	if (raise(SIGUSR2))
		BENCH_DIE("cannot raise a signal");
	took = bench__now_ns() - start;
	for (unsigned int tries = 0; inode_of("image") == before; tries++) {
		errno = 0;
		if (tries == 100000)
			BENCH_DIE("there is no image");
		(void)usleep(1000); /* a child writes it */
	}
	return took;
}

static uint64_t copy(void)
{
	char *arguments[] = {"cp", "image", "copy", NULL};
	uint64_t start = bench__now_ns();
	int status = -1;
	pid_t pid;

	errno = posix_spawnp(&pid, "cp", NULL, NULL, arguments, environ);
	if (errno || waitpid(pid, &status, 0) != pid || status)
		BENCH_DIE("cp failed");
	return bench__now_ns() - start;
}

static void measure_write(unsigned int rounds)
{
	/* for cp(1), which must run without libckpt */
	(void)unsetenv("LD_PRELOAD");
	for (unsigned int i = 0; i < rounds; i++) {
		(void)unlink("image");
		print("write_ns", take_image());
		(void)unlink("copy");
		print("cp_ns", copy());
	}
	print("image_bytes", stored_bytes("image"));
}

static uint64_t fork_once(void)
{
	uint64_t start = bench__now_ns(), took;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	took = bench__now_ns() - start;
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		BENCH_DIE("cannot fork");
	return took;
}

/* After a fork, writes make copies: all pages are written again, so that each fork is the first. */
static void touch_all(unsigned char *memory, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += PAGE)
		memory[i]++;
}

static void measure_fork(unsigned char *memory, size_t bytes, unsigned int rounds)
{
	for (unsigned int i = 0; i < rounds; i++) {
		touch_all(memory, bytes);
		print("fork_ns", fork_once());
		touch_all(memory, bytes);
		print("pause_ns", take_image());
	}
}

static void measure_increment(unsigned char *memory, size_t bytes)
{
	print("full_ns", take_image());
	print("full_bytes", stored_bytes("image"));
	for (size_t i = 0; i < bytes / PAGE / DIRTY_SHARE; i++)
		memory[random_number() % (bytes / PAGE) * PAGE]++;
	print("increment_ns", take_image());
	print("increment_bytes", stored_bytes("image"));
}

/* Comes back from the call twice: here, and in the process that was brought back, which says
 * when. */
static void measure_restart(void)
{
	struct timespec now;

	if (raise(SIGUSR2))
		BENCH_DIE("cannot raise a signal");
	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (access("restarted", F_OK) == 0)
		print("at_ns", (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
	else
		print("saved_ns", 0);
}

int main(int argc, char **argv)
{
	size_t bytes = argc > 2 ? strtoul(argv[2], NULL, 10) << 20 : 0;
	unsigned int rounds = argc > 3 ? (unsigned int)strtoul(argv[3], NULL, 10) : 1;
	unsigned char *memory;

	bench__check_usage(argc, argv, !bytes,
			   "bench_ckpt write|fork|increment|restart MIB [ROUNDS]");
	memory = make_memory(bytes);
	if (strcmp(argv[1], "write") == 0)
		measure_write(rounds);
	else if (strcmp(argv[1], "fork") == 0)
		measure_fork(memory, bytes, rounds);
	else if (strcmp(argv[1], "increment") == 0)
		measure_increment(memory, bytes);
	else
		measure_restart();
	return 0;
}
