/* SPDX-License-Identifier: BSD-2-Clause
 *
 * rollback ATTACHED SCENE [ROUNDS [BYTES]]: runs the program attached and rolls it back, in TAP.
 * Job control stops it around each rollback that is checked, so that its whole state can be
 * compared with that of the checkpoint. What the program shows on its board must hold while it
 * runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../limit.h"
#include "../open_files.h"
#include "../unit/tap.h"
#include "attach/attach.h"
#include "base/procfs.h"
#include "board.h"
#include "kernel/hooks.h"
#include "outside.h"
#include "target/reason.h"

enum {
	ROUNDS = 23,         /* of two rollbacks that are compared */
	ROUNDS_THREADS = 11, /* each takes as long as 20 of the others */
	ROUNDS_COMPARE = 5,
	ROUNDS_LARGE = 11,
	ROUNDS_SHARED = 5,
	CALLS = 103,
	SOAK = 10001,    /* unless the command line says another number */
	SLACK = 1 << 16, /* bytes: less than a block of malloc(3) for each of them */
	LOOKS = LIMIT_SECONDS * 1000,
};

#define LARGE_BYTES  "23068672" /* 11 page tables */
#define SHARED_BYTES "77594624" /* 37: two threads scan them, dense_blocks.h */

static struct board *board;
static pid_t target;
static struct attach *attach;
static struct hooks *hooks; /* with the list of faults; NULL: memory is scanned */
static bool held;           /* job control has stopped the target */

static void need(int err, const char *what)
{
	if (!err)
		return;
	printf("Bail out! %s: %s %s; the program says: %s\n", what, reason__text(err),
	       attach ? attach__detail(attach) : "", board ? board->what : "");
	if (target)
		(void)kill(target, SIGKILL);
	exit(1);
}

static void start(const char *program, const char *size, const char *bytes)
{
	char path[] = "/tmp/tracer-rollback.XXXXXX";
	int fd = mkstemp(path);

	need(fd < 0 || ftruncate(fd, sizeof(*board)) ? -errno : 0, "a file");
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	need(board == MAP_FAILED ? -errno : 0, "mmap");
	(void)close(fd);
	target = fork();
	if (!target) {
		(void)execl(program, program, path, size, bytes, NULL);
		_exit(127);
	}
	for (int i = 0; board->ready < BOARD_THREADS; i++) {
		need(i == LOOKS || waitpid(target, NULL, WNOHANG) > 0 ? -ETIME : 0,
		     "the program begins");
		(void)usleep(1000);
	}
	(void)unlink(path);
}

static void finish(void)
{
	attach__close(attach);
	attach = NULL;
	(void)kill(target, SIGKILL);
	(void)waitpid(target, NULL, 0);
}

/* Are all threads stopped by job control? */
static bool is_stopped(void)
{
	pid_t *tids = NULL;
	size_t count = 0;
	bool result = true;

	need(procfs__threads(target, &tids, &count), "threads");
	for (size_t i = 0; i < count && result; i++) {
		char name[40], text[256] = "", *end;

		(void)snprintf(name, sizeof(name), "task/%d/stat", tids[i]);
		(void)procfs__read(target, name, text, sizeof(text) - 1);
		end = strrchr(text, ')');
		result = !end || end[2] == 'T' || end[2] == 'Z' || end[2] == 'X';
	}
	free(tids);
	return result;
}

/* Somebody has sent SIGSTOP. */
static void wait_stop(void)
{
	for (int i = 0; !is_stopped(); i++) {
		need(i == LOOKS ? -ETIME : 0, "it stops");
		(void)usleep(1000);
	}
	held = true;
}

static void stop(void)
{
	(void)kill(target, SIGSTOP);
	wait_stop();
}

/* Lets it make some steps. SIGCONT is sent again as long as it is stopped: on a busy machine, a
 * SIGCONT just after a tracer has let go of a stopped process was seen to have no effect. */
static void run(void)
{
	const uint64_t *steps = (const uint64_t *)board->steps;
	const unsigned int churner = steps[1] ? BOARD_THREADS - 1 : 0;
	const uint64_t before = board->steps[churner];

	for (int i = 0; board->steps[churner] < before + 17; i++) {
		if (held && i % 1000 == 0 && (!i || is_stopped()))
			(void)kill(target, SIGCONT);
		need(i == LOOKS || waitpid(target, NULL, WNOHANG) > 0 ? -ETIME : 0, "it runs on");
		(void)usleep(1000);
	}
	held = false;
}

static struct outside *checkpoint(const char *name)
{
	struct attach_result result;

	need(attach__checkpoint(attach, name, &result), "checkpoint");
	return outside__look(target);
}

/* Rolls back a process that is stopped, and compares. */
static bool go_back(const char *name, const struct outside *expected)
{
	struct attach_result result;
	struct outside *now;
	char text[256] = "";
	bool same;

	need(attach__rollback(attach, name, &result), "rollback");
	now = outside__look(target);
	same = outside__is_same(expected, now, text, sizeof(text));
	if (!same)
		tap__note("to %s: %s", name, text);
	outside__free(now);
	return same;
}

static void test_state(enum write_tracking_way way, int rounds)
{
	struct outside *states[3];
	static const char *const names[] = {"one", "two", "three"};
	int same = 0;

	need(attach__open(target, way, hooks, &attach), "attach");
	for (int i = 0; i < 3; i++) {
		stop();
		states[i] = checkpoint(names[i]);
		run();
	}
	board->go = 1;
	for (int i = 0; i < rounds; i++) {
		run();
		stop();
		same += go_back(names[i * i % 3], states[i * i % 3]);
		run();
		stop();
		same += go_back(names[i * 5 % 3], states[i * 5 % 3]);
	}
	tap__equal(same, 2 * rounds, "memory, mappings and registers are those of the checkpoint");
	tap__equal(attach__delete(attach, "two"), 0, "one of them is deleted");
	tap__ok(go_back("one", states[0]) && go_back("three", states[2]), "the others are right");
	run();
	attach__close(attach);
	attach = NULL;
	run();
	tap__ok(!board->broken, "the program has seen nothing (%s)", board->what);
	for (int i = 0; i < 3; i++)
		outside__free(states[i]);
}

/* Without job control: nothing but checkpoints and rollbacks touches it. */
static void test_calls(void)
{
	struct attach_result result;

	need(attach__open(target, WRITE_TRACKING_PROTECT, hooks, &attach), "attach");
	need(attach__checkpoint(attach, NULL, &result), "checkpoint");
	board->go = 1;
	for (int i = 0; i < CALLS; i++) {
		run();
		need(attach__rollback(attach, NULL, &result), "rollback");
	}
	run();
	tap__equal(board->interrupted, 0, "epoll_wait is not interrupted");
	tap__ok(!board->broken, "no other call has ended (%s)", board->what);
}

/* The next operations of this process fail, or kill it, at that point (docs/testing.md). */
static void set_fault(const char *fault)
{
	(void)setenv("TRACER_FAULT", fault, 1);
}

/* What fails before anything is changed changes nothing. */
static void test_refusal(void)
{
	struct attach_result result = {.pages = 7};
	struct outside *before, *after;
	char text[256] = "";

	set_fault("rollback:fail");
	run();
	stop();
	before = outside__look(target);
	tap__equal(attach__rollback(attach, NULL, &result), -EIO, "a rollback fails");
	after = outside__look(target);
	tap__ok(outside__is_same(before, after, text, sizeof(text)), "nothing has changed (%s)",
		text);
	tap__equal(result.pages, 7, "nor is there a result");
	outside__free(before);
	outside__free(after);
	run();
}

/* What fails half-way leaves it stopped; a further rollback mends it. */
static void test_half(const char *point, const struct outside *state)
{
	struct attach_result result;
	char fault[64];

	(void)snprintf(fault, sizeof(fault), "%s:fail", point);
	set_fault(fault);
	run();
	tap__equal(attach__rollback(attach, NULL, &result), -REASON_HALF_DONE,
		   "a rollback breaks off: %s", point);
	wait_stop();
	tap__ok(held, "the process is stopped");
	tap__ok(go_back(NULL, state), "the next rollback is whole");
	run();
}

/* Another process rolls it back, and is killed at that point. Is the target gone then? */
static bool is_killed_with(const char *point)
{
	struct attach_result result;
	char fault[64];
	pid_t tracer = fork();
	int status = 0;

	if (!tracer) {
		(void)snprintf(fault, sizeof(fault), "%s:die", point);
		set_fault(fault);
		need(attach__open(target, WRITE_TRACKING_PROTECT, NULL, &attach), "attach");
		need(attach__checkpoint(attach, NULL, &result), "checkpoint");
		run();
		(void)attach__rollback(attach, NULL, &result);
		_exit(0);
	}
	(void)waitpid(tracer, &status, 0);
	need(WIFSIGNALED(status) ? 0 : -ENOTRECOVERABLE, "the tracer is killed");
	return waitpid(target, NULL, strcmp(point, "rollback") ? 0 : WNOHANG) == target;
}

/* The target is killed at that point. */
static void test_end(const char *program, const char *point)
{
	struct attach_result result;
	char fault[64];

	start(program, "small", NULL);
	need(attach__open(target, WRITE_TRACKING_PROTECT, hooks, &attach), "attach");
	need(attach__checkpoint(attach, NULL, &result), "checkpoint");
	run();
	(void)snprintf(fault, sizeof(fault), "%s:kill-target", point);
	set_fault(fault);
	tap__equal(attach__rollback(attach, NULL, &result), -ESRCH, "the target ends: %s", point);
	attach__close(attach);
	attach = NULL;
	(void)waitpid(target, NULL, 0);
}

static const char *const points[] = {"ended", "mapped", "written", "registers"};
enum { POINTS = sizeof(points) / sizeof(*points) };

static void test_faults(const char *program)
{
	struct outside *state;

	need(attach__open(target, WRITE_TRACKING_PROTECT, hooks, &attach), "attach");
	stop();
	state = checkpoint(NULL);
	run();
	test_refusal();
	for (int i = 0; i < POINTS; i++)
		test_half(points[i], state);
	outside__free(state);
	attach__close(attach);
	attach = NULL;
	tap__ok(!is_killed_with("rollback"), "a tracer that is killed early harms nobody");
	run();
	tap__ok(!board->broken, "the process runs on (%s)", board->what);
	for (int i = 0; i < POINTS; i++) {
		tap__ok(is_killed_with(points[i]), "one that is killed half-way takes it along: %s",
			points[i]);
		start(program, "small", NULL);
	}
	(void)kill(target, SIGKILL);
	(void)waitpid(target, NULL, 0);
	test_end(program, "rollback");
	for (int i = 0; i < POINTS; i++)
		test_end(program, points[i]);
	start(program, "small", NULL);
}

static uint64_t kib_of(pid_t pid, const char *key)
{
	uint64_t kib = 0;

	need(procfs__status_u64(pid, key, &kib), "status");
	return kib;
}

struct account { /* of what both processes take */
	uint64_t heap, stored, own_kib, its_kib;
	unsigned int own_files, its_files;
};

static struct account take_account(void)
{
	return (struct account){
		.heap = mallinfo2().uordblks,
		.stored = attach__status(attach).store_bytes,
		.own_kib = kib_of(getpid(), "VmRSS"),
		.its_kib = kib_of(target, "VmSize"),
		.own_files = open_files__count(getpid()),
		.its_files = open_files__count(target),
	};
}

static void roll_back(unsigned long rounds)
{
	struct attach_result result;

	for (unsigned long i = 0; i < rounds; i++)
		need(attach__rollback(attach, NULL, &result), "rollback");
}

/* Memory that the allocator keeps may grow at first, and by no more than a hundredth later. */
static void test_soak(unsigned long rounds)
{
	struct attach_result result;
	struct account before, after;

	need(attach__open(target, WRITE_TRACKING_PROTECT, hooks, &attach), "attach");
	need(attach__checkpoint(attach, NULL, &result), "checkpoint");
	roll_back(rounds / 10);
	stop();
	roll_back(1);
	before = take_account();
	run();
	roll_back(rounds);
	stop();
	roll_back(1);
	after = take_account();
	tap__equal(attach__status(attach).rollbacks, rounds / 10 + rounds + 2, "rollbacks");
	tap__ok(after.heap < before.heap + SLACK, "the heap of the tracer: %lu, %lu bytes",
		(unsigned long)before.heap, (unsigned long)after.heap);
	tap__ok(after.own_kib <= before.own_kib + before.own_kib / 100 + 128,
		"its memory: %lu, %lu KiB", (unsigned long)before.own_kib,
		(unsigned long)after.own_kib);
	tap__equal(after.stored, before.stored, "what it has stored");
	tap__equal(after.own_files, before.own_files, "its descriptors");
	tap__equal(after.its_kib, before.its_kib, "the memory of the process");
	tap__equal(after.its_files, before.its_files, "its descriptors");
	run();
	tap__ok(!board->broken, "it has seen nothing (%s)", board->what);
}

/* What is there before must be there after: nothing of ours remains. */
static void test_detach(void)
{
	struct attach_result result;
	uint64_t tracer = 1;
	struct outside *before, *after;
	char text[256] = "";
	const unsigned int files = open_files__count(target);

	stop();
	before = outside__look(target);
	need(attach__open(target, WRITE_TRACKING_PROTECT, hooks, &attach), "attach");
	need(attach__checkpoint(attach, NULL, &result), "checkpoint");
	attach__close(attach);
	attach = NULL;
	after = outside__look(target);
	tap__ok(outside__is_same(before, after, text, sizeof(text)), "nothing has changed (%s)",
		text);
	tap__equal(open_files__count(target), files, "it has no more files open");
	tap__ok(!procfs__status_u64(target, "TracerPid", &tracer) && !tracer, "nobody traces it");
	run();
	tap__ok(!board->broken, "it runs on (%s)", board->what);
	outside__free(before);
	outside__free(after);
}

int main(int argc, char **argv)
{
	const char *scene = argc > 2 ? argv[2] : "";

	if (strcmp(scene, "compare") != 0 && strncmp(scene, "scan", 4) != 0)
		need(hooks__attach_fault_list(&hooks), "the list of faults");
	if (!strcmp(scene, "threads")) {
		start(argv[1], NULL, NULL);
		tap__plan(4);
		test_state(WRITE_TRACKING_PROTECT, ROUNDS_THREADS);
	} else if (!strcmp(scene, "compare")) {
		start(argv[1], NULL, NULL);
		tap__plan(4);
		test_state(WRITE_TRACKING_NONE, ROUNDS_COMPARE);
	} else if (!strcmp(scene, "small") || !strcmp(scene, "scan")) {
		start(argv[1], "small", NULL);
		tap__plan(4);
		test_state(WRITE_TRACKING_PROTECT, ROUNDS);
	} else if (!strcmp(scene, "large") || !strcmp(scene, "scan-large")) {
		start(argv[1], "large", hooks ? LARGE_BYTES : SHARED_BYTES);
		tap__plan(4);
		test_state(WRITE_TRACKING_PROTECT, hooks ? ROUNDS_LARGE : ROUNDS_SHARED);
	} else if (!strcmp(scene, "soak")) {
		start(argv[1], "small", argc > 4 ? argv[4] : NULL);
		tap__plan(8);
		test_soak(argc > 3 ? strtoul(argv[3], NULL, 10) : SOAK);
	} else if (!strcmp(scene, "calls")) {
		start(argv[1], NULL, NULL);
		tap__plan(2);
		test_calls();
	} else if (!strcmp(scene, "faults")) {
		start(argv[1], "small", NULL);
		tap__plan(26);
		test_faults(argv[1]);
	} else if (!strcmp(scene, "detach")) {
		start(argv[1], NULL, NULL);
		tap__plan(4);
		test_detach();
	} else {
		(void)fprintf(stderr, "usage: rollback ATTACHED "
				      "threads|scan|compare|small|large|scan-large|calls|"
				      "faults|detach|"
				      "soak [ROUNDS [BYTES]]\n");
		return 2;
	}
	finish();
	hooks__free(hooks);
	return tap__done();
}
