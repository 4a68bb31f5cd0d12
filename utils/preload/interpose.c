/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See preload/interpose.h. These functions take the place of those of the C library, in libckpt.so
 * only: a static program that has libckpt linked in calls the C library's own.
 */
#include "preload/interpose.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/page.h"
#include "base/raw_syscall.h"
#include "capture/capture_advice.h"
#include "capture/capture_attributes.h"
#include "image/image.h"
#include "libckpt/handler.h"
#include "libckpt/stderr_line.h"
#include "preload/next.h"
#include "preload/remap.h"

static struct {
	int number; /* of our signal; 0: nothing is done here */
	bool is_taken;
	bool is_said, is_awaited;
	bool is_locked_in;
	struct sigaction action; /* ours */
} self;

void interpose__begin(int number, const struct sigaction *action)
{
	capture_advice__rely();
	self.action = *action;
	self.number = number;
}

/* ---- who has the signal ---- */

static void say_taken(void)
{
	struct stderr_line line;

	if (self.is_said)
		return;
	self.is_said = true;
	stderr_line__begin(&line);
	stderr_line__text(&line, "the program uses signal ");
	stderr_line__number(&line, (uint64_t)self.number);
	stderr_line__text(&line, " itself, so there will be no image; choose another one with "
				 "CKPT_SIGNAL, such as 64");
	stderr_line__end(&line);
}

/* What the program sees of our action. */
static void hide(struct sigaction *old)
{
	if (!old || old->sa_sigaction != self.action.sa_sigaction)
		return;
	memset(old, 0, sizeof(*old));
	old->sa_handler = SIG_DFL;
}

/* The program takes the signal, or gives it back. */
static void note_taken(bool is_taken)
{
	if (is_taken)
		say_taken();
	if (is_taken != self.is_taken)
		handler__hold_timer(is_taken);
	self.is_taken = is_taken;
}

/* The default action is nothing that a program needs, so the signal is ours again. */
static int set_action(const struct sigaction *action, struct sigaction *old)
{
	const bool is_default = !(action->sa_flags & SA_SIGINFO) && action->sa_handler == SIG_DFL;
	int result;

	if (!is_default)
		note_taken(true); /* before a timer's signal could get to the program */
	result = NEXT(sigaction)(self.number, is_default ? &self.action : action, old);
	if (is_default && result == 0)
		note_taken(false);
	hide(old);
	return result;
}

EXPORTED int sigaction(int number, const struct sigaction *action, struct sigaction *old)
{
	int result;

	if (self.number && number == self.number && action)
		return set_action(action, old);
	result = NEXT(sigaction)(number, action, old);
	if (result == 0 && self.number && number == self.number)
		hide(old);
	return result;
}

static sighandler_t set_handler(sighandler_t handler, int flags)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags}, old;

	return set_action(&action, &old) < 0 ? SIG_ERR : old.sa_handler;
}

EXPORTED sighandler_t signal(int number, sighandler_t handler)
{
	return self.number && number == self.number ? set_handler(handler, SA_RESTART)
						    : NEXT(signal)(number, handler);
}

EXPORTED sighandler_t sysv_signal(int number, sighandler_t handler)
{
	return self.number && number == self.number
		       ? set_handler(handler, (int)(SA_RESETHAND | SA_NODEFER))
		       : NEXT(sysv_signal)(number, handler);
}

EXPORTED sighandler_t __sysv_signal(int number, sighandler_t handler) /* NOLINT: glibc's name */
	__attribute__((alias("sysv_signal")));

EXPORTED sighandler_t bsd_signal(int number, sighandler_t handler);
EXPORTED sighandler_t bsd_signal(int number, sighandler_t handler)
{
	return signal(number, handler);
}

EXPORTED sighandler_t ssignal(int number, sighandler_t handler)
{
	return signal(number, handler);
}

/* Programs should not call these any more, but some do. Our signal is never held or blocked. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
EXPORTED sighandler_t sigset(int number, sighandler_t handler)
{
	if (!self.number || number != self.number)
		return NEXT(sigset)(number, handler);
	return handler == SIG_HOLD ? SIG_DFL : set_handler(handler, 0);
}

EXPORTED int sigignore(int number)
{
	if (!self.number || number != self.number)
		return NEXT(sigignore)(number);
	return set_handler(SIG_IGN, 0) == SIG_ERR ? -1 : 0;
}

EXPORTED int sighold(int number)
{
	return self.number && number == self.number && !self.is_taken ? 0 : NEXT(sighold)(number);
}

/* A mask of signals 1 to 32, without ours. */
static int without_ours_of_32(int mask)
{
	return self.number > 32 || !self.number || self.is_taken
		       ? mask
		       : (int)((unsigned int)mask & ~(1u << (self.number - 1)));
}

EXPORTED int sigblock(int mask)
{
	return NEXT(sigblock)(without_ours_of_32(mask));
}

EXPORTED int sigsetmask(int mask)
{
	return NEXT(sigsetmask)(without_ours_of_32(mask));
}

#pragma GCC diagnostic pop

/* ---- who blocks the signal, or waits for it ---- */

/* The set without our signal. */
static const sigset_t *without_ours(const sigset_t *set, sigset_t *copy)
{
	if (!set || !self.number || self.is_taken || sigismember(set, self.number) != 1)
		return set;
	*copy = *set;
	(void)sigdelset(copy, self.number);
	return copy;
}

/* A thread that waits for all signals does not mean ours, but one that names a few does. */
static void say_if_awaited(const sigset_t *set)
{
	enum { FEW = 16 };
	struct stderr_line line;
	uint64_t bits;

	if (!set || !self.number || self.is_taken || self.is_awaited)
		return;
	memcpy(&bits, set, sizeof(bits));
	if (!(bits >> (self.number - 1) & 1) || __builtin_popcountll(bits) > FEW)
		return;
	self.is_awaited = true;
	stderr_line__begin(&line);
	stderr_line__text(&line, "the program waits for signal ");
	stderr_line__number(&line, (uint64_t)self.number);
	stderr_line__text(&line, ", and will not get it, because it asks for images; choose "
				 "another one with CKPT_SIGNAL, such as 64");
	stderr_line__end(&line);
}

EXPORTED int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	sigset_t copy;

	if (how != SIG_UNBLOCK)
		set = without_ours(set, &copy);
	return NEXT(pthread_sigmask)(how, set, old);
}

EXPORTED int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	sigset_t copy;

	if (how != SIG_UNBLOCK)
		set = without_ours(set, &copy);
	return NEXT(sigprocmask)(how, set, old);
}

EXPORTED int sigsuspend(const sigset_t *set)
{
	sigset_t copy;

	return NEXT(sigsuspend)(without_ours(set, &copy));
}

EXPORTED int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *time,
		   const sigset_t *set)
{
	sigset_t copy;

	return NEXT(ppoll)(fds, count, time, without_ours(set, &copy));
}

EXPORTED int pselect(int count, fd_set *to_read, fd_set *to_write, fd_set *others,
		     const struct timespec *time, const sigset_t *set)
{
	sigset_t copy;

	return NEXT(pselect)(count, to_read, to_write, others, time, without_ours(set, &copy));
}

EXPORTED int epoll_pwait(int fd, struct epoll_event *events, int count, int ms, const sigset_t *set)
{
	sigset_t copy;

	return NEXT(epoll_pwait)(fd, events, count, ms, without_ours(set, &copy));
}

EXPORTED int epoll_pwait2(int fd, struct epoll_event *events, int count,
			  const struct timespec *time, const sigset_t *set)
{
	sigset_t copy;

	return NEXT(epoll_pwait2)(fd, events, count, time, without_ours(set, &copy));
}

EXPORTED int sigwait(const sigset_t *set, int *number)
{
	sigset_t copy;

	say_if_awaited(set);
	return NEXT(sigwait)(without_ours(set, &copy), number);
}

EXPORTED int sigwaitinfo(const sigset_t *set, siginfo_t *info)
{
	sigset_t copy;

	say_if_awaited(set);
	return NEXT(sigwaitinfo)(without_ours(set, &copy), info);
}

EXPORTED int sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *time)
{
	sigset_t copy;

	say_if_awaited(set);
	return NEXT(sigtimedwait)(without_ours(set, &copy), info, time);
}

EXPORTED int signalfd(int fd, const sigset_t *set, int flags)
{
	sigset_t copy;

	say_if_awaited(set);
	return NEXT(signalfd)(fd, without_ours(set, &copy), flags);
}

/* ---- memory ---- */

static long call(long number, long a, long b, long c, long d, long e, long f)
{
	return next__result(raw_syscall__call6(number, (uint64_t)a, (uint64_t)b, (uint64_t)c,
					       (uint64_t)d, (uint64_t)e, (uint64_t)f));
}

/* Is it advice that a mapping keeps? MADV_DONTNEED and its like are done at once. */
static bool is_kept(int advice)
{
	return advice == MADV_WIPEONFORK || advice == MADV_DONTFORK || advice == MADV_DONTDUMP ||
	       advice == MADV_HUGEPAGE || advice == MADV_NOHUGEPAGE || advice == MADV_MERGEABLE ||
	       advice == MADV_RANDOM || advice == MADV_SEQUENTIAL;
}

EXPORTED int madvise(void *address, size_t bytes, int advice)
{
	if (is_kept(advice))
		capture_advice__note();
	return (int)syscall(SYS_madvise, address, bytes, advice);
}

EXPORTED int mlock(const void *address, size_t bytes)
{
	capture_advice__note();
	return (int)syscall(SYS_mlock, address, bytes);
}

EXPORTED int mlock2(const void *address, size_t bytes, unsigned int flags)
{
	capture_advice__note();
	return (int)syscall(SYS_mlock2, address, bytes, flags);
}

EXPORTED int mlockall(int flags)
{
	int result;

	capture_advice__note();
	result = (int)syscall(SYS_mlockall, flags);
	if (result == 0)
		capture_attributes__note_locks(flags);
	return result;
}

EXPORTED int munlockall(void)
{
	capture_attributes__note_locks(0);
	return (int)syscall(SYS_munlockall);
}

EXPORTED void *mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	if (flags & (MAP_GROWSDOWN | MAP_LOCKED))
		capture_advice__note();
	return (void *)syscall(SYS_mmap, address, bytes, protection, flags, fd,
			       offset); /* NOLINT */
}

EXPORTED void *mmap64(void *address, size_t bytes, int protection, int flags, int fd,
		      off64_t offset) __attribute__((alias("mmap")));

/* Changes the mask of the calling thread by a system call, because our pthread_sigmask leaves our
 * signal out. Returns the mask before. */
static uint64_t block(int how, uint64_t mask)
{
	uint64_t old = 0;

	(void)call(SYS_rt_sigprocmask, how, (long)&mask, (long)&old, sizeof(mask), 0, 0);
	return old;
}

/* A move of several mappings (Linux 6.17) fails at the first that is watched, and those before it
 * have been moved. So none is watched then, and there is no image until it is done. */
static void *remap_unwatched(void *address, size_t bytes, size_t new_bytes, int flags, void *to)
{
	const uint64_t old = block(SIG_BLOCK, 1ULL << (self.number - 1));
	long result;

	(void)handler__stop_watching();
	result = raw_syscall__call6(SYS_mremap, (uint64_t)address, bytes, new_bytes,
				    (uint64_t)flags, (uint64_t)to, 0);
	if (result == -EFAULT && handler__has_watched())
		result = remap__by_hand((uint64_t)address, page__round_up(bytes),
					page__round_up(new_bytes), flags, (uint64_t)to);
	(void)block(SIG_SETMASK, old);
	return (void *)next__result(result); /* NOLINT */
}

/* The kernel merges no mapping that is watched with one that is not, and resizes no two at once. */
EXPORTED void *mremap(void *address, size_t bytes, size_t new_bytes, int flags, ...)
{
	void *to = NULL, *result;
	va_list arguments;

	va_start(arguments, flags);
	if (flags & ~MREMAP_MAYMOVE)
		to = va_arg(arguments, void *);
	va_end(arguments);
	if (self.number && (flags & MREMAP_FIXED))
		return remap_unwatched(address, bytes, new_bytes, flags, to);
	result = (void *)syscall(SYS_mremap, address, bytes, new_bytes, flags, to); /* NOLINT */
	if (result == MAP_FAILED && (errno == EFAULT || errno == EINVAL) && self.number &&
	    handler__has_watched())
		return remap_unwatched(address, bytes, new_bytes, flags, to);
	return result;
}

/* ---- children ---- */

struct task {
	int (*function)(void *);
	void *argument;
};

static int begin_task(void *argument)
{
	const struct task *task = argument;

	handler__start_in_child();
	return task->function(task->argument);
}

/* A child with memory of its own has a copy of our frame. */
EXPORTED int clone(int (*function)(void *), void *stack, int flags, void *argument, ...)
{
	struct task task = {function, argument};
	pid_t *parent_tid, *child_tid;
	va_list arguments;
	void *tls;

	va_start(arguments, argument);
	parent_tid = va_arg(arguments, pid_t *);
	tls = va_arg(arguments, void *);
	child_tid = va_arg(arguments, pid_t *);
	va_end(arguments);
	if (self.number && function && !(flags & CLONE_VM)) {
		function = begin_task;
		argument = &task;
	}
	return NEXT(clone)(function, stack, flags, argument, parent_tid, tls, child_tid);
}

/* Does this call make a child with memory of its own? */
static bool is_fork(long number, const long a[6])
{
	if (number == SYS_clone)
		return !(a[0] & CLONE_VM);
	if (number == SYS_clone3)
		return !(*(const uint64_t *)a[0] & CLONE_VM); /* NOLINT: struct clone_args */
	return number == SYS_fork;
}

/* It does not call what pthread_atfork(3) was told, as fork(3) does. */
EXPORTED pid_t _Fork(void) /* NOLINT: glibc's name */
{
	const pid_t child = NEXT(_Fork)();

	if (child == 0 && self.number)
		handler__start_in_child();
	return child;
}

/* ---- what our handler would not survive ---- */

/* Said before, since a filter may not even let us write; the handler then makes no call. */
static void lock_in(const char *reason)
{
	struct stderr_line line;

	if (!self.number || self.is_locked_in)
		return;
	self.is_locked_in = true;
	handler__hold_timer(true);
	handler__lock_in();
	stderr_line__begin(&line);
	stderr_line__text(&line, "the program ");
	stderr_line__text(&line, reason);
	stderr_line__text(&line, ", so there will be no image from now on");
	stderr_line__end(&line);
}

static void before_filter(void)
{
	lock_in("restricts its system calls with seccomp(2)");
}

EXPORTED int prctl(int option, ...)
{
	unsigned long a[4];
	va_list arguments;

	va_start(arguments, option);
	for (int i = 0; i < 4; i++)
		a[i] = va_arg(arguments, unsigned long);
	va_end(arguments);
	if (option == PR_SET_SECCOMP)
		before_filter();
	else if (option == PR_SET_SYSCALL_USER_DISPATCH && a[0] != PR_SYS_DISPATCH_OFF)
		lock_in("handles its system calls itself (PR_SET_SYSCALL_USER_DISPATCH)");
	else if (option == PR_SET_TSC && a[0] == PR_TSC_SIGSEGV)
		lock_in("forbids itself to read the time stamp counter (PR_SET_TSC)");
	return (int)syscall(SYS_prctl, option, a[0], a[1], a[2], a[3]);
}

/* ---- system calls by number ---- */

/* Which argument of a call is a set of signals that it blocks or waits for; -1: none. */
static int find_set(long number)
{
	switch (number) {
	case SYS_rt_sigtimedwait:
	case SYS_rt_sigsuspend:
		return 0;
	case SYS_rt_sigprocmask:
	case SYS_signalfd:
	case SYS_signalfd4:
		return 1;
	case SYS_ppoll:
		return 3;
	case SYS_epoll_pwait:
	case SYS_epoll_pwait2:
		return 4;
	default:
		return -1;
	}
}

/* rt_sigaction(2) of our signal, as set_action. The handler is the first word of an action. */
static long set_action_by_number(const long a[6])
{
	const uint64_t *action = (const uint64_t *)a[1]; /* NOLINT: an address */
	uint64_t *old = (uint64_t *)a[2];                /* NOLINT: an address */
	const bool is_default = *action == (uintptr_t)SIG_DFL;
	long result;

	if (!is_default)
		note_taken(true);
	result = call(SYS_rt_sigaction, a[0], is_default ? 0 : a[1], a[2], a[3], 0, 0);
	if (is_default && result == 0) {
		(void)NEXT(sigaction)(self.number, &self.action, NULL);
		note_taken(false);
	}
	if (result == 0 && old && *old == (uintptr_t)self.action.sa_sigaction)
		memset(old, 0, sizeof(struct image_signal));
	return result;
}

/* libseccomp installs its filter so. seccomp(2) without one only asks what the kernel has. */
EXPORTED long syscall(long number, ...)
{
	long a[6], result;
	va_list arguments;
	uint64_t copy;
	int set;

	va_start(arguments, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(arguments, long);
	va_end(arguments);
	if (!self.number)
		return call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	/* Our handler asks as well, and must see its own action. */
	if (number == SYS_rt_sigaction && a[0] == self.number && a[1])
		return set_action_by_number(a);
	set = self.is_taken ? -1 : find_set(number);
	if (set >= 0 && a[set]) {
		copy = *(const uint64_t *)a[set] & ~(1ULL << (self.number - 1)); /* NOLINT */
		a[set] = (long)&copy;
	}
	if (number == SYS_seccomp &&
	    (a[0] == SECCOMP_SET_MODE_STRICT || (a[0] == SECCOMP_SET_MODE_FILTER && a[2])))
		before_filter();
	result = call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (result == 0 && number == SYS_landlock_restrict_self)
		capture_attributes__note_landlock();
	if (result == 0 && is_fork(number, a))
		handler__start_in_child();
	return result;
}
