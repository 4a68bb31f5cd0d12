/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of program: the child is held until it is released. Then its user, environment, signal mask
 * and exit status are right. Each way to fail is tested. A shell tells what it finds out about
 * itself by its exit status.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../limit.h"
#include "base/procfs.h"
#include "program.h"
#include "tap.h"
#include "target/reason.h"
#include "valgrind.h"

#define SHELL(script) ((char *[]){(char *)"sh", (char *)"-c", (char *)(script), NULL})
#define UNTOUCHED     "untouched"

struct run { /* what became of a program */
	int start, release, status;
	const char *what; /* of a release that failed */
};

static void pause_ms(long ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

/* Waits for its end, or kills it at the limit. Returns its status, or -1 if it was killed. */
static int wait_end(struct program *program)
{
	for (unsigned int i = 0; i < LIMIT_SECONDS * 1000; i++) {
		if (program__has_ended(program))
			return program__exit_status(program);
		pause_ms(1);
	}
	(void)kill(program__pid(program), SIGKILL);
	while (!program__has_ended(program))
		pause_ms(1);
	return -1;
}

static struct run run_as(char **argv, const char *user, const sigset_t *mask)
{
	struct run run = {.status = -1, .what = UNTOUCHED};
	struct program *program = NULL;

	run.start = program__start(argv, user, "/control dir", mask, &program);
	if (run.start)
		return run;
	run.release = program__release(program, &run.what);
	run.status = wait_end(program);
	program__free(program);
	return run;
}

static struct run run(char **argv)
{
	sigset_t none;

	(void)sigemptyset(&none);
	return run_as(argv, NULL, &none);
}

static void test_status(void)
{
	struct run r = run(SHELL("exit 0"));

	tap__ok(r.start == 0 && r.release == 0 && r.status == 0, "exit 0");
	tap__equal_string(r.what, UNTOUCHED, "success leaves ret_what untouched");
	tap__equal(run(SHELL("exit 23")).status, 23, "exit 23");
	tap__equal(run(SHELL("exit 255")).status, 255, "exit 255");
	tap__equal(run(SHELL("kill -TERM $$")).status, 128 + SIGTERM, "a signal");
	tap__equal(run(SHELL("kill -KILL $$")).status, 128 + SIGKILL, "SIGKILL");
}

static void test_not_run(void)
{
	struct run r;

	if (under_valgrind()) {
		tap__skip(7, "valgrind changes the exit status of a child that has not freed all");
		return;
	}
	r = run((char *[]){(char *)"/no/such/program", NULL});
	tap__equal(r.release, -ENOENT, "a program that is not there");
	tap__ok(r.what && strcmp(r.what, UNTOUCHED) != 0 && *r.what, "says what failed: %s",
		r.what);
	tap__equal(r.status, 127, "and its status is that of a shell");
	r = run((char *[]){(char *)"no-such-program-23", NULL});
	tap__ok(r.release == -ENOENT && r.status == 127, "a name that is not in the PATH");
	r = run((char *[]){(char *)"/proc/version/program", NULL});
	tap__ok(r.release == -ENOTDIR && r.status == 127, "a path through a file");
	r = run((char *[]){(char *)"/", NULL});
	tap__ok(r.release == -EACCES && r.status == 126, "a folder");
	r = run((char *[]){(char *)"/proc/version", NULL});
	tap__ok(r.release == -EACCES && r.status == 126, "a file without permission");
}

/* The next free descriptors are those that program__start takes. */
static void test_descriptors(void)
{
	int next = dup(STDERR_FILENO), left = 0;
	char script[128];

	(void)close(next);
	(void)snprintf(script, sizeof(script),
		       "for fd in %d %d %d %d; do test -e /proc/$$/fd/$fd && exit 1; done; exit 0",
		       next, next + 1, next + 2, next + 3);
	tap__equal(run(SHELL(script)).status, 0, "no pipe of ours is left open in it");
	for (int i = 0; i < 4; i++)
		left += fcntl(next + i, F_GETFD) >= 0;
	tap__equal(left, 0, "nor in us");
}

static void test_environment(void)
{
	sigset_t mask;

	tap__equal(run(SHELL("test \"$TRACER_CONTROL_DIR\" = '/control dir'")).status, 0,
		   "TRACER_CONTROL_DIR");
	tap__equal(run(SHELL("trap - PIPE; kill -PIPE $$; exit 1")).status, 128 + SIGPIPE,
		   "SIGPIPE, which we ignore, ends it");
	(void)sigemptyset(&mask);
	tap__equal(run_as((char *[]){(char *)"grep", (char *)"-q", (char *)"SigBlk:.*0000$",
				     (char *)"/proc/self/status", NULL},
			  NULL, &mask)
			   .status,
		   0, "an empty signal mask");
	(void)sigaddset(&mask, SIGUSR1);
	(void)sigaddset(&mask, SIGTERM);
	tap__equal(run_as((char *[]){(char *)"grep", (char *)"-q", (char *)"SigBlk:.*4200$",
				     (char *)"/proc/self/status", NULL},
			  NULL, &mask)
			   .status,
		   0, "a mask of two");
	test_descriptors();
}

/* The name of the file that a process executes, cut as the kernel does; static. */
static const char *comm_of(pid_t pid)
{
	static char comms[2][32];
	static unsigned int turn;
	char *comm = comms[turn++ % 2];
	ssize_t length = procfs__read(pid, "comm", comm, sizeof(comms[0]) - 1);

	comm[length < 0 ? 0 : length] = '\0';
	return comm;
}

static void test_held(void)
{
	struct program *program = NULL;
	const char *what = UNTOUCHED;
	struct pollfd reader = {.events = POLLIN};
	int pipe_fds[2];
	char script[64], bytes[8];
	sigset_t none;

	(void)sigemptyset(&none);
	if (pipe(pipe_fds) != 0)
		return;
	reader.fd = pipe_fds[0];
	(void)snprintf(script, sizeof(script), "printf 23 >&%d; kill -STOP $$; exit 7",
		       pipe_fds[1]);
	tap__equal(program__start(SHELL(script), NULL, "/", &none, &program), 0, "start");
	pause_ms(23); /* time enough for a mistake */
	tap__ok(!program__has_ended(program) && kill(program__pid(program), 0) == 0, "it is there");
	tap__equal_string(comm_of(program__pid(program)), comm_of(getpid()),
			  "and has executed nothing yet");
	tap__ok(poll(&reader, 1, 0) == 0, "nor done anything");
	tap__equal(program__release(program, &what), 0, "release");
	tap__equal_string(comm_of(program__pid(program)), "sh\n", "then it has been executed");
	tap__ok(read(pipe_fds[0], bytes, 2) == 2 && !memcmp(bytes, "23", 2), "it runs");
	tap__ok(!program__has_ended(program) && !program__has_ended(program),
		"it is stopped or about to: it has not ended");
	for (unsigned int i = 0; i < LIMIT_SECONDS * 1000 && !program__has_ended(program); i++) {
		(void)kill(program__pid(program), SIGCONT);
		pause_ms(1);
	}
	tap__equal(wait_end(program), 7, "its status");
	tap__ok(program__has_ended(program) && program__exit_status(program) == 7,
		"asked again, the same");
	program__free(program);
	(void)close(pipe_fds[0]);
	(void)close(pipe_fds[1]);
}

static void test_free(void)
{
	struct program *program = NULL;
	const char *what = UNTOUCHED;
	sigset_t none;
	pid_t pid;

	(void)sigemptyset(&none);
	program__free(NULL);
	if (program__start(SHELL("exit 1"), NULL, "/", &none, &program) != 0)
		return;
	pid = program__pid(program);
	program__free(program);
	tap__ok(kill(pid, 0) < 0 && errno == ESRCH, "never released: killed and reaped");
	if (program__start(SHELL("exec sleep 1000"), NULL, "/", &none, &program) != 0)
		return;
	pid = program__pid(program);
	tap__equal(program__release(program, &what), 0, "a released one");
	program__free(program);
	tap__ok(waitpid(pid, NULL, WNOHANG) == 0, "runs on after program__free");
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

/* The child is killed before it is released. The release must fail. */
static void test_killed_early(void)
{
	struct program *program = NULL;
	const char *what = UNTOUCHED;
	siginfo_t info;
	sigset_t none;

	(void)sigemptyset(&none);
	if (program__start(SHELL("exit 1"), NULL, "/", &none, &program) != 0)
		return;
	(void)kill(program__pid(program), SIGKILL);
	(void)waitid(P_PID, (id_t)program__pid(program), &info, WEXITED | WNOWAIT);
	tap__equal(program__release(program, &what), -EPIPE, "killed before the release");
	tap__equal(wait_end(program), 128 + SIGKILL, "its status");
	program__free(program);
}

static void test_no_user(void)
{
	struct program *untouched = (struct program *)&untouched, *program = untouched;
	char *argv[] = {(char *)"true", NULL};
	sigset_t none;

	(void)sigemptyset(&none);
	tap__equal(program__start(argv, "no such user", "/", &none, &program), -REASON_NO_USER,
		   "a user who is not there");
	tap__equal(program__start(argv, "", "/", &none, &program), -REASON_NO_USER, "no name");
	tap__equal(program__start(argv, "4294967295", "/", &none, &program), -REASON_NO_USER,
		   "the number that is none");
	tap__equal(program__start(argv, "0x", "/", &none, &program), -REASON_NO_USER,
		   "half a number");
	tap__ok(program == untouched, "failures leave the result untouched");
	tap__ok(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD, "and no child behind");
}

/* Runs in a child whose user is nobody: becoming root must fail. Exit status 0 if all is well. */
static int try_to_become_root(uid_t uid, gid_t gid)
{
	struct run r;
	sigset_t none;

	if (setgid(gid) != 0 || setuid(uid) != 0)
		return 2;
	(void)sigemptyset(&none);
	r = run_as(SHELL("exit 0"), "root", &none);
	return !(r.start == 0 && r.release == -EPERM && r.status == 126 &&
		 strcmp(r.what, UNTOUCHED) != 0);
}

static void test_other_user(void)
{
	const struct passwd *nobody = getpwnam("nobody");
	char script[512], number[24];
	sigset_t none;
	int status = 0;
	pid_t child;
	uid_t uid;
	gid_t gid;

	if (geteuid() != 0 || !nobody) {
		tap__skip(6, "needs root and a user nobody");
		return;
	}
	uid = nobody->pw_uid; /* the next getpwnam overwrites it */
	gid = nobody->pw_gid;
	(void)sigemptyset(&none);
	(void)snprintf(script, sizeof(script),
		       "test $(id -ru) = %u && test $(id -u) = %u && test $(id -rg) = %u && "
		       "test $(id -g) = %u && test $(id -G) = %u && test $USER = nobody && "
		       "test $LOGNAME = nobody && test \"$HOME\" = '%.99s'",
		       uid, uid, gid, gid, gid, nobody->pw_dir);
	(void)snprintf(number, sizeof(number), "%u", uid);
	tap__equal(run_as(SHELL(script), "nobody", &none).status, 0, "as nobody");
	tap__equal(run_as(SHELL(script), number, &none).status, 0, "as nobody, by number");
	(void)setenv("SUDO_UID", number, 1);
	tap__equal(run(SHELL(script)).status, 0, "under sudo: as the caller");
	tap__equal(run_as(SHELL("test $(id -u) = 0"), "root", &none).status, 0,
		   "under sudo, but as root");
	(void)setenv("SUDO_UID", "23x", 1);
	tap__equal(run(SHELL("test $(id -u) = 0")).status, 0, "SUDO_UID that is no number");
	(void)unsetenv("SUDO_UID");
	if (under_valgrind()) {
		tap__skip(1, "valgrind changes the exit status of a child that has not freed all");
		return;
	}
	child = fork();
	if (child == 0)
		_exit(try_to_become_root(uid, gid));
	(void)waitpid(child, &status, 0);
	tap__ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "as root when we are nobody");
}

int main(void)
{
	(void)unsetenv("SUDO_UID");
	(void)setenv("PATH", "/usr/bin:/bin", 1);
	(void)signal(SIGPIPE, SIG_IGN); /* as the tracer has it */
	tap__plan(46);
	test_status();
	test_not_run();
	test_environment();
	test_held();
	test_free();
	test_killed_early();
	test_no_user();
	test_other_user();
	return tap__done();
}
