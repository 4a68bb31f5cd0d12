/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The child process: fork, wait for release, become the user, exec.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/parse.h"
#include "program.h"
#include "target/reason.h"

enum step { STEP_RUN, STEP_GROUPS, STEP_USER };

static const char *const steps[] = {
	[STEP_RUN] = "run",
	[STEP_GROUPS] = "set the groups of the user for",
	[STEP_USER] = "set the user for",
};

struct failure { /* what the child writes when it cannot exec */
	int err;
	enum step step;
};

struct program {
	pid_t pid;
	int status, signal;
	int release_fd; /* closed or written: go on */
	int failure_fd; /* end of file: exec has succeeded */
	bool released;
	bool ended;
};

/* Finds the user to run it as. *ret_user NULL: the caller. */
static int find_user(const char *user, const struct passwd **ret_user)
{
	const char *caller = getenv("SUDO_UID");
	uint64_t number;

	*ret_user = NULL;
	if (!user && geteuid() == 0 && caller && !parse__u64(caller, 1, UINT32_MAX - 1, &number)) {
		*ret_user = getpwuid((uid_t)number);
		return 0; /* a number without an account: the caller stays */
	}
	if (!user)
		return 0;
	errno = 0;
	*ret_user = getpwnam(user);
	if (!*ret_user && !parse__u64(user, 0, UINT32_MAX - 1, &number))
		*ret_user = getpwuid((uid_t)number);
	return *ret_user ? 0 : -REASON_NO_USER;
}

static void __attribute__((noreturn)) fail(int fd, enum step step)
{
	struct failure failure = {errno, step};
	ssize_t written = write(fd, &failure, sizeof(failure));

	(void)written; /* the parent then sees the end of file, and our exit status */
	_exit(failure.err == ENOENT || failure.err == ENOTDIR ? 127 : 126);
}

static void __attribute__((noreturn))
run_child(char **argv, const struct passwd *user, const char *control_dir, const sigset_t *mask,
	  int release_fd, int failure_fd)
{
	ssize_t got;
	char byte;

	do
		got = read(release_fd, &byte, 1);
	while (got < 0 && errno == EINTR);
	if (got != 1)
		_exit(125); /* the tracer has died: nobody would answer the program */
	if (user) {
		if (initgroups(user->pw_name, user->pw_gid) || setgid(user->pw_gid))
			fail(failure_fd, STEP_GROUPS);
		if (setuid(user->pw_uid))
			fail(failure_fd, STEP_USER);
		setenv("USER", user->pw_name, 1);
		setenv("LOGNAME", user->pw_name, 1);
		setenv("HOME", user->pw_dir, 1);
	}
	setenv("TRACER_CONTROL_DIR", control_dir, 1);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, mask, NULL);
	execvp(argv[0], argv);
	fail(failure_fd, STEP_RUN);
}

/* Could a file be executed? */
static int check_file(const char *path)
{
	struct stat status;

	if (stat(path, &status))
		return -errno;
	if (S_ISDIR(status.st_mode))
		return -EACCES;
	return access(path, X_OK) ? -errno : 0;
}

int program__look_up(const char *name)
{
	const char *folders = getenv("PATH");
	int found = -ENOENT;
	size_t length;

	if (strchr(name, '/'))
		return check_file(name);
	if (!*name || !folders)
		return *name ? 0 : -ENOENT; /* execvp(3) has folders of its own then */
	for (;; folders += length + 1) {
		char path[PATH_MAX];
		int err;

		length = strcspn(folders, ":");
		if (snprintf(path, sizeof(path), "%.*s/%s", length ? (int)length : 1,
			     length ? folders : ".", name) < (int)sizeof(path)) {
			err = check_file(path);
			if (!err)
				return 0;
			found = err == -EACCES ? err : found;
		}
		if (!folders[length])
			return found;
	}
}

int program__start(char **argv, const char *user, const char *control_dir, const sigset_t *mask,
		   struct program **ret_program)
{
	int release[2] = {-1, -1}, failure[2] = {-1, -1}, err;
	struct program *program = calloc(1, sizeof(*program));
	const struct passwd *account;

	if (!program)
		return -ENOMEM;
	err = find_user(user, &account);
	if (err)
		goto out;
	if (pipe2(release, O_CLOEXEC) || pipe2(failure, O_CLOEXEC)) {
		err = -errno;
		goto out;
	}
	program->pid = fork();
	if (program->pid < 0) {
		err = -errno;
		goto out;
	}
	if (!program->pid) {
		close(release[1]);
		close(failure[0]);
		run_child(argv, account, control_dir, mask, release[0], failure[1]);
	}
	program->release_fd = release[1];
	program->failure_fd = failure[0];
	release[1] = failure[0] = -1;
	*ret_program = program;
	program = NULL;
out:
	for (int i = 0; i < 2; i++) {
		if (release[i] >= 0)
			close(release[i]);
		if (failure[i] >= 0)
			close(failure[i]);
	}
	free(program);
	return err;
}

pid_t program__pid(const struct program *program)
{
	return program->pid;
}

static void note_end(struct program *program, const siginfo_t *info)
{
	program->ended = true;
	program->signal = info->si_code == CLD_EXITED ? 0 : info->si_status;
	program->status = info->si_code == CLD_EXITED ? info->si_status : 128 + info->si_status;
}

int program__release(struct program *program, const char **ret_what)
{
	struct failure failure;
	siginfo_t info;
	ssize_t got;

	program->released = true;
	if (write(program->release_fd, "", 1) != 1)
		return -errno;
	do
		got = read(program->failure_fd, &failure, sizeof(failure));
	while (got < 0 && errno == EINTR);
	if (got != sizeof(failure))
		return 0;
	/* until the child is gone it holds our files, and so the lock of the control folder */
	if (!waitid(P_PID, (id_t)program->pid, &info, WEXITED))
		note_end(program, &info);
	*ret_what = steps[failure.step];
	return -failure.err;
}

bool program__has_ended(struct program *program)
{
	siginfo_t info = {0};

	if (program->ended)
		return true;
	if (waitid(P_PID, (id_t)program->pid, &info, WEXITED | WNOHANG) || !info.si_pid)
		return false;
	note_end(program, &info);
	return true;
}

int program__exit_status(const struct program *program)
{
	return program->status;
}

int program__signal(const struct program *program)
{
	return program->signal;
}

void program__free(struct program *program)
{
	siginfo_t info;

	if (!program)
		return;
	if (!program->released && !program->ended) {
		(void)kill(program->pid, SIGKILL); /* our own child, not reaped: the pid is its */
		(void)waitid(P_PID, (id_t)program->pid, &info, WEXITED);
	}
	close(program->release_fd);
	close(program->failure_fd);
	free(program);
}
