/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Unit test of the client library. A forked child plays the tracer, in a private control folder.
 * So neither root nor a kernel feature is needed. A test that needs a file of another user is
 * skipped without root.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../limit.h"
#include "client/client.h"
#include "tap.h"

#define OTHER_USER 54321
#define SHORT_MS   150
#define STOPPED_MS 4000
#define LONG_MS    (LIMIT_SECONDS * 1000) /* never waited for */

/* What the child does with a request. */
enum answer {
	ANSWER_DONE,            /* creates the completion file */
	ANSWER_FAILED,          /* removes the request */
	ANSWER_DONE_AND_REMOVE, /* creates the completion file and removes the request at once */
	ANSWER_SYMLINK,         /* makes a link to a file in place of the completion file */
	ANSWER_OTHER_USER,      /* creates a completion file of somebody else */
};

struct test { /* the control folder */
	char dir[64];
	char path[PATH_MAX]; /* of path_of */
};

/* The path of a control file; valid until the next call. */
static const char *path_of(struct test *test, const char *name)
{
	(void)snprintf(test->path, sizeof(test->path), "%s/%s", test->dir, name);
	return test->path;
}

static int exists(struct test *test, const char *name)
{
	struct stat st;

	return lstat(path_of(test, name), &st) == 0;
}

static int none_left(struct test *test)
{
	return !exists(test, "ready_to_checkpoint") && !exists(test, "checkpoint_complete") &&
	       !exists(test, "ready_to_restore") && !exists(test, "restore_complete") &&
	       !exists(test, "ready_to_rollback") && !exists(test, "rollback_complete");
}

static void make_file(struct test *test, const char *name)
{
	int fd = open(path_of(test, name), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);

	if (fd < 0) {
		printf("Bail out! cannot create %s: %s\n", test->path, strerror(errno));
		exit(1);
	}
	(void)close(fd);
}

static void make_link(struct test *test, const char *target, const char *name)
{
	if (symlink(target, path_of(test, name)) < 0) {
		printf("Bail out! cannot create %s: %s\n", test->path, strerror(errno));
		exit(1);
	}
}

static void remove_file(struct test *test, const char *name)
{
	(void)unlink(path_of(test, name));
}

static void pause_ms(long ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

static uint64_t now_ms(void)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Waits for a request of the client. An old one that the test has made is not empty. */
static int wait_request(struct test *test, const char *request)
{
	struct stat st;
	int i;

	for (i = 0; i < LONG_MS; i++) {
		if (lstat(path_of(test, request), &st) == 0 && st.st_size == 0)
			return 1;
		pause_ms(1);
	}
	return 0;
}

static void give_answer(struct test *test, const char *request, const char *complete,
			enum answer answer)
{
	switch (answer) {
	case ANSWER_DONE:
		make_file(test, complete);
		break;
	case ANSWER_FAILED:
		remove_file(test, request);
		break;
	case ANSWER_DONE_AND_REMOVE:
		make_file(test, complete);
		remove_file(test, request);
		break;
	case ANSWER_SYMLINK:
		make_link(test, "/dev/null", complete);
		break;
	case ANSWER_OTHER_USER:
		make_file(test, "elsewhere");
		if (chown(test->path, OTHER_USER, OTHER_USER) == 0) {
			char from[PATH_MAX];

			memcpy(from, test->path, sizeof(from));
			(void)rename(from, path_of(test, complete));
		}
		break;
	}
}

/* Starts a child that answers one request after delay_ms. */
static pid_t start_tracer(struct test *test, const char *request, const char *complete,
			  enum answer answer, long delay_ms)
{
	pid_t pid;

	(void)fflush(stdout);
	pid = fork();
	if (pid != 0)
		return pid;
	if (wait_request(test, request)) {
		pause_ms(delay_ms);
		give_answer(test, request, complete, answer);
	}
	_exit(0);
}

static void end_tracer(pid_t pid)
{
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
}

static int save_with(struct test *test, enum answer answer, long delay_ms)
{
	pid_t pid =
		start_tracer(test, "ready_to_checkpoint", "checkpoint_complete", answer, delay_ms);
	int err = client__save(LONG_MS);

	end_tracer(pid);
	return err;
}

static void test_answers(struct test *test)
{
	pid_t pid;

	tap__equal(save_with(test, ANSWER_DONE, 0), 0, "save: answered");
	tap__ok(none_left(test), "save: both files are removed");
	tap__equal(save_with(test, ANSWER_DONE, 60), 0, "save: answered in the slow phase");
	pid = start_tracer(test, "ready_to_restore", "restore_complete", ANSWER_DONE, 0);
	tap__equal(client__restore(LONG_MS), 0, "restore: answered");
	end_tracer(pid);
	tap__ok(none_left(test), "restore: both files are removed");

	tap__equal(save_with(test, ANSWER_FAILED, 0), -EIO,
		   "a removed request means failure, long before the timeout");
	tap__ok(none_left(test), "failure: no file is left");
	tap__equal(save_with(test, ANSWER_DONE_AND_REMOVE, 0), 0,
		   "done wins when the request goes as well");
	tap__ok(none_left(test), "done and removed: no file is left");
}

static int save_whole_with(struct test *test, const char *complete, enum answer answer,
			   long delay_ms)
{
	pid_t pid = start_tracer(test, "ready_to_checkpoint", complete, answer, delay_ms);
	int err = client__save_whole(LONG_MS);

	end_tracer(pid);
	return err;
}

/* A tracer that rolls back leaves rollback_complete, for the poll of the checkpoint to find. */
static void test_whole(struct test *test)
{
	pid_t pid;

	tap__equal(save_whole_with(test, "checkpoint_complete", ANSWER_DONE, 0), 0,
		   "save_whole: taken");
	tap__ok(none_left(test), "save_whole: no file is left");
	tap__equal(save_whole_with(test, "rollback_complete", ANSWER_DONE, 0), CLIENT_BACK,
		   "save_whole: come back");
	tap__ok(none_left(test), "come back: no file is left");
	tap__equal(save_whole_with(test, "rollback_complete", ANSWER_DONE_AND_REMOVE, 60),
		   CLIENT_BACK, "come back, in the slow phase, and the request is gone");
	tap__equal(save_whole_with(test, "checkpoint_complete", ANSWER_FAILED, 0), -EIO,
		   "save_whole: failed");
	make_file(test, "rollback_complete");
	tap__equal(save_whole_with(test, "checkpoint_complete", ANSWER_DONE, 20), 0,
		   "an old rollback_complete is no return");
	tap__ok(none_left(test), "and is removed");
	make_file(test, "rollback_complete");
	tap__equal(save_with(test, ANSWER_DONE, 20), 0, "client__save does not look for it");
	remove_file(test, "rollback_complete");
	tap__equal(client__save_whole(SHORT_MS), -ETIMEDOUT, "save_whole: nobody answers");
	pid = start_tracer(test, "ready_to_rollback", "rollback_complete", ANSWER_FAILED, 0);
	tap__equal(client__rollback(LONG_MS), -EIO, "rollback: refused");
	end_tracer(pid);
	tap__equal(client__rollback(SHORT_MS), -ETIMEDOUT, "rollback: nobody answers");
	tap__ok(none_left(test), "no file is left");
}

static void test_short_names(struct test *test)
{
	pid_t pid =
		start_tracer(test, "ready_to_checkpoint", "checkpoint_complete", ANSWER_DONE, 0);

	tap__equal(savecontext(), 0, "savecontext");
	end_tracer(pid);
	pid = start_tracer(test, "ready_to_restore", "restore_complete", ANSWER_DONE, 0);
	tap__equal(recovercontext(), 0, "recovercontext");
	end_tracer(pid);
}

static void test_timeout(struct test *test)
{
	uint64_t start_ms = now_ms();

	tap__equal(client__save(SHORT_MS), -ETIMEDOUT, "nobody answers");
	tap__ok(now_ms() - start_ms >= SHORT_MS, "and not before the timeout");
	tap__ok(none_left(test), "timeout: the request is removed");
	(void)setenv("TRACER_TIMEOUT_MS", "120", 1);
	tap__equal(recovercontext(), -ETIMEDOUT, "TRACER_TIMEOUT_MS is kept");
	(void)setenv("TRACER_TIMEOUT_MS", "10abc", 1);
	tap__equal(savecontext(), -EINVAL, "TRACER_TIMEOUT_MS: garbage");
	(void)setenv("TRACER_TIMEOUT_MS", "0", 1);
	tap__equal(savecontext(), -EINVAL, "TRACER_TIMEOUT_MS: zero");
	(void)setenv("TRACER_TIMEOUT_MS", "99999999999999999999999", 1);
	tap__equal(savecontext(), -EINVAL, "TRACER_TIMEOUT_MS: too large");
	tap__equal(client__save(SHORT_MS), -ETIMEDOUT,
		   "a timeout of the call comes before TRACER_TIMEOUT_MS");
	tap__equal(client__save(CLIENT_TIMEOUT_MAX_MS + 1), -EINVAL,
		   "a timeout of more than a day");
	(void)unsetenv("TRACER_TIMEOUT_MS");
	tap__ok(none_left(test), "no file is left of all that");
}

/* The tracer may hold the client stopped for longer than the timeout while it writes memory. */
static void test_stopped(struct test *test)
{
	const char *name = "time in which the client is stopped does not count";
	int status = -1;
	pid_t pid;

	(void)fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(client__save(STOPPED_MS - 1000) == 0 ? 0 : 1);
	if (!wait_request(test, "ready_to_checkpoint") || kill(pid, SIGSTOP) < 0 ||
	    waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status)) {
		tap__ok(0, "%s", name);
	} else {
		pause_ms(STOPPED_MS);
		(void)kill(pid, SIGCONT);
		pause_ms(20);
		make_file(test, "checkpoint_complete");
		tap__ok(waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
				WEXITSTATUS(status) == 0,
			"%s", name);
	}
	(void)client__cleanup();
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void test_signals(struct test *test)
{
	struct sigaction action = {.sa_handler = on_alarm}, old;
	struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
	pid_t pid =
		start_tracer(test, "ready_to_checkpoint", "checkpoint_complete", ANSWER_DONE, 100);
	int err;

	(void)sigaction(SIGALRM, &action, &old);
	(void)setitimer(ITIMER_REAL, &often, NULL);
	err = client__save(LONG_MS);
	(void)setitimer(ITIMER_REAL, &never, NULL);
	(void)sigaction(SIGALRM, &old, NULL);
	end_tracer(pid);
	tap__equal(err, 0, "a signal every millisecond does no harm");
}

static void test_stale(struct test *test)
{
	make_file(test, "checkpoint_complete");
	tap__equal(client__save(SHORT_MS), -ETIMEDOUT,
		   "an old completion file is not taken for the answer");
	tap__ok(none_left(test), "the old completion file is removed");

	make_file(test, "ready_to_checkpoint");
	if (truncate(path_of(test, "ready_to_checkpoint"), 23) < 0)
		tap__note("cannot mark the old request: %s", strerror(errno));
	tap__equal(save_with(test, ANSWER_DONE, 20), 0, "an old request is replaced");
	tap__ok(none_left(test), "no file is left");
}

static void test_hostile(struct test *test)
{
	char second[PATH_MAX];
	struct stat st;

	make_file(test, "victim");
	make_link(test, "victim", "ready_to_checkpoint");
	tap__equal(client__save(SHORT_MS), -EEXIST, "request is a symbolic link");
	tap__ok(exists(test, "victim") && exists(test, "ready_to_checkpoint"),
		"the link and what it points to are left alone");
	remove_file(test, "ready_to_checkpoint");

	(void)snprintf(second, sizeof(second), "%s/restore_complete", test->dir);
	(void)link(path_of(test, "victim"), second);
	tap__equal(client__restore(SHORT_MS), -EEXIST, "completion is a hard link");
	remove_file(test, "restore_complete");
	make_link(test, "victim", "restore_complete");
	tap__equal(client__restore(SHORT_MS), -EEXIST, "completion is a symbolic link");
	remove_file(test, "restore_complete");
	make_link(test, "nowhere", "ready_to_restore");
	tap__equal(client__restore(SHORT_MS), -EEXIST, "request is a dangling link");
	tap__ok(!exists(test, "nowhere"), "nothing is created through it");
	remove_file(test, "ready_to_restore");

	tap__equal(save_with(test, ANSWER_SYMLINK, 0), -EPERM,
		   "a symbolic link is not believed as the answer");
	tap__ok(!exists(test, "ready_to_checkpoint"), "the request is removed");
	remove_file(test, "checkpoint_complete");

	(void)mkdir(path_of(test, "ready_to_checkpoint"), 0755);
	tap__equal(client__save(SHORT_MS), -EEXIST, "request is a directory");
	tap__ok(stat(path_of(test, "ready_to_checkpoint"), &st) == 0, "it is left alone");
	(void)rmdir(path_of(test, "ready_to_checkpoint"));
	remove_file(test, "victim");
}

/* A program without privileges, in its own directory; the tracer's files belong to root. */
static int save_as_other_user(struct test *test)
{
	int status = -1;
	pid_t pid;

	if (chown(test->dir, OTHER_USER, OTHER_USER) < 0)
		return -1;
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (setgid(OTHER_USER) < 0 || setuid(OTHER_USER) < 0)
			_exit(2);
		_exit(client__save(LONG_MS) == 0 ? 0 : 1);
	}
	if (wait_request(test, "ready_to_checkpoint"))
		make_file(test, "checkpoint_complete");
	(void)waitpid(pid, &status, 0);
	(void)chown(test->dir, 0, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_owners(struct test *test)
{
	if (geteuid() != 0) {
		tap__skip(5, "making files of another user needs root");
		return;
	}
	tap__equal(save_with(test, ANSWER_OTHER_USER, 0), -EPERM,
		   "another user's file is not believed as the answer");
	remove_file(test, "checkpoint_complete");
	give_answer(test, "", "checkpoint_complete", ANSWER_OTHER_USER);
	tap__equal(client__save(SHORT_MS), -EEXIST,
		   "another user's old completion file is refused");
	remove_file(test, "checkpoint_complete");
	give_answer(test, "", "ready_to_checkpoint", ANSWER_OTHER_USER);
	tap__equal(client__save(SHORT_MS), -EEXIST, "another user's request is refused");
	remove_file(test, "ready_to_checkpoint");
	tap__equal(save_as_other_user(test), 0, "root's file is believed as the answer");
	tap__ok(none_left(test), "root's completion file is removed where the directory allows");
}

static void test_directory(struct test *test)
{
	char dir[PATH_MAX + 64];
	pid_t pid;

	(void)snprintf(dir, sizeof(dir), "%s//", test->dir);
	(void)setenv("TRACER_CONTROL_DIR", dir, 1);
	pid = start_tracer(test, "ready_to_checkpoint", "checkpoint_complete", ANSWER_DONE, 0);
	tap__equal(client__save(LONG_MS), 0, "slashes at the end of the directory");
	end_tracer(pid);

	memset(dir, 'a', sizeof(dir));
	dir[0] = '/';
	dir[PATH_MAX - 10] = '\0';
	(void)setenv("TRACER_CONTROL_DIR", dir, 1);
	tap__equal(client__save(SHORT_MS), -ENAMETOOLONG, "directory too long for a name");
	dir[PATH_MAX - 10] = 'a';
	dir[sizeof(dir) - 1] = '\0';
	(void)setenv("TRACER_CONTROL_DIR", dir, 1);
	tap__equal(client__save(SHORT_MS), -ENAMETOOLONG, "directory too long for a path");
	tap__equal(client__cleanup(), -ENAMETOOLONG, "cleanup says so too");
	(void)setenv("TRACER_CONTROL_DIR", "relative", 1);
	tap__equal(client__save(SHORT_MS), -EINVAL, "relative directory");
	(void)snprintf(dir, sizeof(dir), "%s/missing", test->dir);
	(void)setenv("TRACER_CONTROL_DIR", dir, 1);
	tap__equal(client__save(SHORT_MS), -ENOENT, "missing directory");
	(void)setenv("TRACER_CONTROL_DIR", "/dev/null", 1);
	tap__equal(client__save(SHORT_MS), -ENOTDIR, "not a directory");
	(void)setenv("TRACER_CONTROL_DIR", test->dir, 1);
}

static void test_cleanup(struct test *test)
{
	make_file(test, "ready_to_checkpoint");
	make_file(test, "checkpoint_complete");
	make_file(test, "ready_to_restore");
	make_file(test, "restore_complete");
	make_file(test, "bystander");
	tap__equal(cleanup(), 0, "cleanup");
	tap__ok(none_left(test), "cleanup removes the four files");
	tap__ok(exists(test, "bystander"), "cleanup leaves other files alone");
	tap__equal(cleanup(), 0, "cleanup with nothing to do");
	make_link(test, "bystander", "restore_complete");
	make_file(test, "ready_to_restore");
	errno = E2BIG;
	tap__equal(client__cleanup(), 0, "cleanup beside a symbolic link");
	tap__ok(errno == E2BIG, "cleanup keeps errno, as a signal handler needs");
	tap__ok(exists(test, "restore_complete") && !exists(test, "ready_to_restore"),
		"cleanup leaves the link, and removes the plain file");
	remove_file(test, "restore_complete");
	remove_file(test, "bystander");
}

static void test_strerror(void)
{
	const int codes[] = {0,      ETIMEDOUT, EIO,    EEXIST, EPERM,  EINVAL, ENAMETOOLONG,
			     ENOENT, ENOTDIR,   EACCES, EROFS,  ENOSPC, EMFILE};
	unsigned int count = sizeof(codes) / sizeof(codes[0]), i, k;
	int good = 1;

	for (i = 0; i < count; i++) {
		good = good && *client__strerror(-codes[i]) &&
		       strcmp(client__strerror(-codes[i]), client__strerror(codes[i])) == 0;
		for (k = 0; k < i; k++)
			good = good && strcmp(client__strerror(-codes[i]),
					      client__strerror(-codes[k])) != 0;
	}
	tap__ok(good, "every result has a sentence of its own");
	tap__ok(strstr(client__strerror(-ETIMEDOUT), "tracer PROGRAM") != NULL,
		"the sentence for a timeout says what to do");
}

int main(void)
{
	struct test test = {.dir = "/tmp/client_test.XXXXXX"};

	tap__plan(72);
	if (!mkdtemp(test.dir) || setenv("TRACER_CONTROL_DIR", test.dir, 1) < 0) {
		printf("Bail out! no directory for the control files: %s\n", strerror(errno));
		return 1;
	}
	(void)unsetenv("TRACER_TIMEOUT_MS");
	test_answers(&test);
	test_whole(&test);
	test_short_names(&test);
	test_timeout(&test);
	test_stopped(&test);
	test_signals(&test);
	test_stale(&test);
	test_hostile(&test);
	test_owners(&test);
	test_directory(&test);
	test_cleanup(&test);
	test_strerror();
	tap__ok(rmdir(test.dir) == 0, "the control folder is empty at the end");
	return tap__done();
}
