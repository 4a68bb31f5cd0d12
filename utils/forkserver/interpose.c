/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Functions in the place of the C library's: what a fork server calls, exits, and the setting of
 * signal actions. interpose_kept.c has more of them.
 * In processes that are neither server nor child they do nothing more than those of the C library.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/raw_syscall.h"
#include "forkserver/child.h"
#include "forkserver/kept.h"
#include "forkserver/protocol.h"
#include "forkserver/server.h"
#include "preload/next.h"

/* ---- of the server ---- */

EXPORTED pid_t fork(void)
{
	return server__fork();
}

EXPORTED pid_t waitpid(pid_t pid, int *status, int options)
{
	return server__wait(pid, status, options, NULL);
}

EXPORTED pid_t wait(int *status)
{
	return server__wait(-1, status, 0, NULL);
}

EXPORTED pid_t wait4(pid_t pid, int *status, int options, struct rusage *usage)
{
	return server__wait(pid, status, options, usage);
}

EXPORTED ssize_t read(int fd, void *buffer, size_t bytes)
{
	const bool is_command = fd == COMMAND_FD && bytes == sizeof(uint32_t);
	ssize_t got;

	got = is_command && server__command(buffer) ? (ssize_t)bytes
						    : NEXT(read)(fd, buffer, bytes);
	if (is_command && got == (ssize_t)bytes)
		server__note_command();
	return got;
}

EXPORTED ssize_t write(int fd, const void *buffer, size_t bytes)
{
	const bool is_word = fd == ANSWER_FD && bytes == sizeof(uint32_t);
	ssize_t put;

	if (is_word && server__is_told())
		return (ssize_t)bytes;
	put = NEXT(write)(fd, buffer, bytes);
	if (is_word && put == (ssize_t)bytes)
		server__note_told(*(const uint32_t *)buffer);
	return put;
}

/* ---- exits without exit(3) ---- */

static int quick_status;

static void on_exit_end(int status, void *unused)
{
	(void)unused;
	(void)fflush(NULL); /* as exit(3) would do it next */
	child__end(status);
}

static void on_quick_exit(void)
{
	child__end(quick_status);
}

__attribute__((noreturn)) static void end_now(int status)
{
	child__end(status);
	for (;;)
		(void)raw_syscall__call(SYS_exit_group, (uint64_t)status, 0, 0, 0);
}

EXPORTED void _exit(int status)
{
	end_now(status);
}

EXPORTED void _Exit(int status)
{
	end_now(status);
}

EXPORTED void quick_exit(int status)
{
	quick_status = status;
	NEXT(quick_exit)(status);
	__builtin_unreachable();
}

EXPORTED long syscall(long number, ...)
{
	uint64_t a[6];
	va_list arguments;

	va_start(arguments, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(arguments, uint64_t);
	va_end(arguments);
	if (number == SYS_exit_group)
		end_now((int)a[0]);
	if (number == SYS_rt_sigaction)
		child__note_signal((int)a[0]);
	kept__note_call(number, a);
	return next__result(raw_syscall__call6(number, a[0], a[1], a[2], a[3], a[4], a[5]));
}

/* First of all: then the handlers are the last to run. */
__attribute__((constructor(101))) static void start(void)
{
	if (getenv("AFL_NO_SNAPSHOT") || getenv("__AFL_PERSISTENT") ||
	    fcntl(COMMAND_FD, F_GETFD) < 0 || fcntl(ANSWER_FD, F_GETFD) < 0)
		return;
	if (on_exit(on_exit_end, NULL) == 0 && at_quick_exit(on_quick_exit) == 0)
		(void)server__begin();
}

/* ---- actions of signals ---- */

#define SETS_ACTION(type, name, parameters, arguments)                                             \
	EXPORTED type name parameters                                                              \
	{                                                                                          \
		child__note_signal(number);                                                        \
		return NEXT(name) arguments; /* NOLINT(bugprone-macro-parentheses) */              \
	}

SETS_ACTION(int, sigaction, (int number, const struct sigaction *action, struct sigaction *old),
	    (number, action, old))
SETS_ACTION(sighandler_t, signal, (int number, sighandler_t handler), (number, handler))
SETS_ACTION(sighandler_t, sysv_signal, (int number, sighandler_t handler), (number, handler))
SETS_ACTION(sighandler_t, __sysv_signal, (int number, sighandler_t handler), (number, handler))
SETS_ACTION(sighandler_t, ssignal, (int number, sighandler_t handler), (number, handler))
/* Programs should not call these any more, but some do. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
SETS_ACTION(sighandler_t, sigset, (int number, sighandler_t handler), (number, handler))
SETS_ACTION(int, sigignore, (int number), (number))
SETS_ACTION(int, siginterrupt, (int number, int interrupt), (number, interrupt))
#pragma GCC diagnostic pop
sighandler_t bsd_signal(int number, sighandler_t handler);
SETS_ACTION(sighandler_t, bsd_signal, (int number, sighandler_t handler), (number, handler))
