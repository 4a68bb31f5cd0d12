/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenes [SCENE [SEED]]: what a program can do between a checkpoint and a rollback, in TAP. Each
 * scene is a process of its own. It takes a checkpoint, and in each round does something and goes
 * back. Its parent compares all of its memory each time. Built for each way to link a program.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/rseq.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../limit.h"
#include "scenes.h"

#pragma weak __rseq_offset

struct scene_shared *scene__shared;
unsigned char *scene__block, *scene__second;
unsigned char scene__data[5 * PAGE] __attribute__((aligned(PAGE))) = {1};
const char *scene__program;
int scene__file = -1;
uint64_t scene__seed = 23;

static const char *const names[] = {"best", "protect", "soft-dirty", "compare"}; /* of ways */
static int to_parent[2], to_child[2];

/* ---- what scenes have in common ---- */

void scene__fail(const char *file, int line)
{
	if (scene__shared->failed_line)
		return;
	scene__shared->failed_file = file;
	scene__shared->failed_line = line;
}

void *scene__map(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	check(at != MAP_FAILED);
	return at;
}

void scene__fill(unsigned char *at, size_t bytes, unsigned int seed)
{
	for (size_t i = 0; i < bytes; i++)
		at[i] = (unsigned char)((i * 2654435761U + seed) >> 13);
}

void scene__begin_file(void)
{
	char path[] = "/tmp/rollback-scene.XXXXXX";
	unsigned char bytes[PAGE];

	scene__file = mkstemp(path);
	check(scene__file >= 0);
	for (unsigned int i = 0; i < 30; i++) {
		scene__fill(bytes, PAGE, i);
		check(write(scene__file, bytes, PAGE) == PAGE);
	}
	check(munmap(scene__second, BLOCK) == 0);
	check(mmap(scene__second, 30 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
		   scene__file, 0) == scene__second);
	for (size_t i = 0; i < 10; i++)
		scene__second[i * PAGE] ^= 1;
	check(unlink(path) == 0);
}

/* ---- the two processes ---- */

static void look(void)
{
	char c = 0;

	(void)!write(to_parent[1], &c, 1);
	if (read(to_child[0], &c, 1) != 1)
		_exit(1);
}

static void __attribute__((noinline)) play(const struct scene *scene, enum rollback_way way)
{
	const struct rollback_options options = {.flags = scene->flags, .way = way};

	scene__shared->view.stack = (uintptr_t)__builtin_frame_address(0) - 16;
	scene__shared->again = rollback__take(&scene__shared->rollback, &options);
	if (scene__shared->again < 0)
		_exit(-scene__shared->again);
	scene__shared->view.own = (uintptr_t)scene__shared->rollback;
	check(scene__shared->again == (scene__shared->round > 0));
	if (scene__shared->round == 0 && scene->taken)
		scene->taken();
	look();
	if (scene->verify)
		scene->verify();
	if (scene__shared->round == ROUNDS) {
		rollback__free(scene__shared->rollback);
		scene__shared->finished = 1;
		(void)!write(to_parent[1], "", 1);
		_exit(0);
	}
	scene->act(scene__shared->round++);
	rollback__back(scene__shared->rollback);
}

static void begin_child(const struct scene *scene, enum rollback_way way)
{
	uint64_t self, tid_address = 0;

	__asm__("mov %%fs:0, %0" : "=r"(self));
	/* A child keeps its own number. */
	if (prctl(PR_GET_TID_ADDRESS, &tid_address) == 0)
		scene__shared->view.ignored[scene__shared->view.ignored_count++] =
			(struct whole_memory_range){tid_address, tid_address + 4};
	if (&__rseq_offset)
		scene__shared->view.ignored[scene__shared->view.ignored_count++] =
			(struct whole_memory_range){self + (uint64_t)__rseq_offset,
						    self + (uint64_t)__rseq_offset + 32};
	scene__block = scene__map(BLOCK);
	scene__second = scene__map(BLOCK);
	scene__fill(scene__block, BLOCK, 1);
	scene__fill(scene__second, BLOCK, 2);
	(void)scene__map(3 * PAGE);
	if (scene->begin)
		scene->begin();
	scene__shared->descriptor = to_parent[1];
	look(); /* once before the checkpoint: the first call of a function writes its address */
	play(scene, way);
}

static struct whole_memory first, now;

/* Waits for a sign of the child. A child that died in fork_child leaves others with the pipe. */
static bool hear(void)
{
	struct pollfd sign = {.fd = to_parent[0], .events = POLLIN};
	char c;

	return poll(&sign, 1, LIMIT_SECONDS * 1000) == 1 && read(to_parent[0], &c, 1) == 1;
}

static bool watch(pid_t pid)
{
	bool same = true;
	char c = 0;

	(void)hear();
	(void)!write(to_child[1], &c, 1);
	for (int round = 0; same && round <= ROUNDS && hear(); round++) {
		if (round > 0 && scene__shared->expected_pid)
			pid = scene__shared->expected_pid;
		whole_memory__read(round ? &now : &first, pid, &scene__shared->view);
		if (round > 0) {
			same = whole_memory__same(&first, &now);
			whole_memory__free(&now);
		}
		if (!same)
			printf("# in round %d\n", round);
		(void)!write(to_child[1], &c, 1);
	}
	if (same)
		(void)hear(); /* it has finished */
	whole_memory__free(&first);
	return same;
}

static bool run(const struct scene *scene, enum rollback_way way)
{
	int status = 0;
	bool same;
	pid_t pid;

	memset(scene__shared, 0, sizeof(*scene__shared));
	if (pipe(to_parent) || pipe(to_child))
		abort();
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		(void)setpgid(0, 0);
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		begin_child(scene, way);
	}
	(void)setpgid(pid, pid);
	(void)close(to_parent[1]);
	(void)close(to_child[0]);
	same = watch(pid);
	(void)close(to_parent[0]);
	(void)close(to_child[1]);
	if (scene__shared->expected_pid || !same)
		(void)kill(-pid, SIGKILL);
	(void)waitpid(pid, &status, 0);
	if (scene__shared->failed_line)
		printf("# %s:%d: a check failed\n", scene__shared->failed_file,
		       scene__shared->failed_line);
	if (!scene__shared->finished)
		printf("# ended with status 0x%x in round %d\n", status, scene__shared->round);
	return same && !scene__shared->failed_line && scene__shared->finished;
}

static bool works(enum rollback_way way)
{
	struct rollback *rollback;
	const struct rollback_options options = {.way = way};

	if (rollback__take(&rollback, &options) < 0)
		return false;
	rollback__free(rollback);
	return true;
}

/* Plays the scenes of a list, all or the one of that name. Returns how many have failed. */
static int run_list(const struct scene *list, const char *only, enum rollback_way way, int *number)
{
	int failed = 0;

	for (const struct scene *scene = list; scene->name; scene++) {
		bool ok;

		if (only && strcmp(only, scene->name) != 0)
			continue;
		ok = run(scene, way);
		failed += !ok;
		printf("%sok %d - %s, %s\n", ok ? "" : "not ", ++*number, scene->name, names[way]);
		(void)fflush(stdout);
	}
	return failed;
}

int main(int argc, char **argv)
{
	enum { LISTS = 3 };
	static const struct scene *const lists[LISTS] = {scenes_memory, scenes_process,
							 scenes_chance};
	const char *only = argc > 1 ? argv[1] : NULL;
	/* How else a program can be linked (scenes-static, scenes-no-pie) makes no difference to
	 * memory that it maps, nor to how written pages are found. */
	const bool is_other_form = strchr(program_invocation_short_name, '-');
	bool is_played = false;
	int failed = 0, number = 0;

	scene__program = argv[0];
	if (argc > 2)
		scene__seed = strtoull(argv[2], NULL, 10);
	scene__shared = mmap(NULL, sizeof(*scene__shared), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (scene__shared == MAP_FAILED)
		abort();
	for (enum rollback_way way = ROLLBACK_PROTECT; way <= ROLLBACK_COMPARE; way++) {
		if (is_played && is_other_form)
			break;
		if (!works(way)) {
			printf("ok %d - %s # SKIP the kernel does not have it\n", ++number,
			       names[way]);
			continue;
		}
		for (size_t i = is_other_form ? 1 : 0; i < LISTS; i++)
			failed += run_list(lists[i], only, way, &number);
		is_played = true;
	}
	printf("1..%d\n", number);
	return failed > 0;
}
