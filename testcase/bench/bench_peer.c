/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A process for tools that save and restore processes from outside: fills so much memory from a
 * seed, creates the file READY and sleeps. At SIGUSR1 it checks every byte, creates the file RIGHT
 * if all are right, and ends. Its exit status would be lost: after a restore it may be the child of
 * another process.
 */
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/parse.h"
#include "bench.h"

static void touch(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		BENCH_DIE("cannot create %s", path);
	close(fd);
}

static uint64_t word(uint64_t i)
{
	return (i + 23) * 0xd1342543de82ef95;
}

int main(int argc, char **argv)
{
	uint64_t bytes = 0, *area, differs = 0;
	sigset_t wanted;
	int got;

	bench__check_usage(argc, argv, argc != 4 || parse__u64(argv[1], 4096, 1ULL << 36, &bytes),
			   "bench_peer BYTES READY RIGHT");
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &wanted, NULL))
		BENCH_DIE("cannot block SIGUSR1");
	area = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (area == MAP_FAILED)
		BENCH_DIE("cannot map %lu bytes", (unsigned long)bytes);
	for (uint64_t i = 0; i < bytes / sizeof(*area); i++)
		area[i] = word(i);
	touch(argv[2]);
	if (sigwait(&wanted, &got))
		BENCH_DIE("cannot wait for SIGUSR1");
	for (uint64_t i = 0; i < bytes / sizeof(*area); i++)
		differs |= area[i] ^ word(i);
	if (!differs)
		touch(argv[3]);
	return differs != 0;
}
