/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See same_pid.h.
 */
#include "restart/same_pid.h"

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"

/* Ends as the process does, and stops as it does, so that a shell sees it. A SIGCONT wakes it up
 * then, and is handed on like any other signal. */
static void follow(pid_t child)
{
	int status = 0;
	pid_t pid = waitpid(child, &status, WNOHANG | WUNTRACED);

	if (pid == child && WIFSTOPPED(status))
		(void)raise(SIGSTOP);
	else if (pid == child)
		exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
	else if (pid < 0 && errno == ECHILD)
		exit(RESTART_FAILED); /* somebody else has been told how it ended */
}

/* Hands on the signals that processes send. The kernel sends its own, as for Ctrl-C, to both. */
__attribute__((noreturn)) static void wait_for(pid_t child)
{
	sigset_t all;

	(void)sigfillset(&all);
	for (;;) {
		siginfo_t info;
		int signal = sigwaitinfo(&all, &info);

		if (signal > 0 && signal != SIGCHLD && info.si_code <= 0)
			(void)kill(child, signal);
		follow(child);
	}
}

static int say_not_taken(pid_t pid, int err)
{
	if (err == EEXIST)
		log__error("the process cannot have the number %d again: another one has it", pid);
	else if (err == ENOSYS || (err == EPERM && geteuid() == 0))
		log__error("the process cannot have the number %d again: clone3(2) is refused "
			   "here, as "
			   "in containers without rights; leave --same-pid out, or allow it",
			   pid);
	else if (err == EPERM)
		log__error("the process cannot have the number %d again: that needs root "
			   "(CAP_CHECKPOINT_RESTORE); leave --same-pid out",
			   pid);
	else
		log__error("the process cannot have the number %d again: %s", pid, strerror(err));
	return -err;
}

int same_pid__take(pid_t pid)
{
	struct clone_args args = {
		.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&pid, .set_tid_size = 1};
	sigset_t all, before;
	int err = 0;
	long child;

	if (pid == getpid())
		return 0;
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &before);
	(void)signal(SIGCHLD, SIG_DFL); /* ignored, its end could not be waited for */
	child = syscall(SYS_clone3, &args, sizeof(args));
	if (child < 0)
		err = say_not_taken(pid, errno);
	if (child > 0)
		wait_for((pid_t)child);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return err;
}
