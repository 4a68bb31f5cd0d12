/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of fault_injection: the effect of each TRACER_FAULT at its point, at another point and the
 * second time. A forked child passes a fatal fault; every child is reaped.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "target/fault_injection.h"
#include "tap.h"

/* A child that waits for a signal. */
static pid_t start_child(void)
{
	pid_t child = fork();

	if (child < 0) {
		perror("fork");
		exit(1);
	}
	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			(void)pause();
	}
	return child;
}

static bool is_running(pid_t child)
{
	siginfo_t info = {0};

	return waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && !info.si_pid;
}

static void end_child(pid_t child)
{
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
}

/* Passes the point "copied" once with that fault. Nothing may happen. */
static void test_nothing(const char *fault, pid_t target, const char *name)
{
	if (fault)
		(void)setenv("TRACER_FAULT", fault, 1);
	else
		(void)unsetenv("TRACER_FAULT");
	tap__ok(fault_injection__pass("copied", target) == 0 && is_running(target), "nothing: %s",
		name);
}

static void test_fail(pid_t target)
{
	(void)setenv("TRACER_FAULT", "copied:fail", 1);
	tap__equal(fault_injection__pass("prepare", target), 0, "fail: another point before");
	tap__equal(fault_injection__pass("copied", target), -EIO, "fail: its point");
	tap__equal(fault_injection__pass("copied", target), 0, "fail: its point again");
	(void)setenv("TRACER_FAULT", "copied:fail", 1);
	tap__equal(fault_injection__pass("copied", target), -EIO,
		   "fail: its point, asked for anew");
	tap__ok(is_running(target), "fail: the target is left alone");
}

static void test_kill_target(pid_t target)
{
	siginfo_t info = {0};
	pid_t other = start_child();

	(void)setenv("TRACER_FAULT", "copied:kill-target", 1);
	tap__ok(fault_injection__pass("completion", target) == 0 && is_running(target),
		"kill-target: another point");
	tap__equal(fault_injection__pass("copied", target), 0,
		   "kill-target: its point is passed as usual");
	tap__ok(waitid(P_PID, (id_t)target, &info, WEXITED | WNOHANG) == 0 &&
			info.si_pid == target && info.si_code == CLD_KILLED &&
			info.si_status == SIGKILL,
		"kill-target: the target has ended, its status is there for its parent");
	tap__ok(fault_injection__pass("copied", other) == 0 && is_running(other),
		"kill-target: the second time nobody is killed");
	(void)setenv("TRACER_FAULT", "copied:kill-target", 1);
	end_child(other);
	tap__equal(fault_injection__pass("copied", other), 0,
		   "kill-target: a target that is gone already");
}

static void test_die(pid_t target)
{
	int status = 0;
	pid_t child;

	(void)setenv("TRACER_FAULT", "restore:die", 1);
	child = fork();
	if (child == 0) {
		if (fault_injection__pass("repair", target) != 0)
			_exit(1);
		(void)fault_injection__pass("restore", target);
		_exit(2);
	}
	(void)waitpid(child, &status, 0);
	tap__ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		"die: SIGKILL at its point, not before");
	tap__ok(is_running(target), "die: the target runs on");
}

int main(void)
{
	pid_t target = start_child();

	tap__plan(22);
	test_nothing(NULL, target, "no fault in the environment");
	test_nothing("", target, "an empty one");
	test_nothing("copied", target, "a point without an action");
	test_nothing("copied:", target, "an empty action");
	test_nothing("copied:explode", target, "an unknown action");
	test_nothing("copied:fail ", target, "an action and a blank");
	test_nothing("copied:die-hard", target, "an action that begins like another");
	test_nothing("copie:fail", target, "a point that begins like another");
	test_nothing("copied2:fail", target, "a point that goes on after the name of another");
	test_nothing(":fail", target, "no point");
	test_fail(target);
	test_die(target);
	test_kill_target(target);
	return tap__done();
}
