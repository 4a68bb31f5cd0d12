/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See kept.h: functions in the place of the C library's that change what a process keeps, and
 * syscall(2) for the same. A call that is not known to be harmless counts as a change.
 */
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "forkserver/child.h"
#include "forkserver/kept.h"
#include "preload/next.h"

/* Of the kernel, not of the C library: in no header before glibc 2.37. */
enum { LANDLOCK_RESTRICT_SELF = 446 };

#define FOLDER     "the target changes its folder"
#define ROOT       "the target changes its root"
#define UMASK      "the target changes its umask"
#define LIMITS     "the target changes its limits"
#define TIMERS     "the target makes timers"
#define RIGHTS     "the target changes its rights"
#define SESSION    "the target changes its session"
#define GROUP      "the target changes its group"
#define PRIORITY   "the target changes its priority"
#define PROCESSORS "the target changes its processors"
#define LOCKS      "the target locks all its memory"
#define NAMESPACES "the target changes its namespaces"
#define FILTER     "the target filters its system calls"
#define ATTRIBUTES "the target changes its attributes (prctl)"
#define TRACED     "the target has itself traced"
#define UNDO       "the target has semaphores that its end changes (SEM_UNDO)"
#define KEYS       "the target allocates protection keys"
#define CONTEXTS   "the target makes contexts of io_setup"

/* ---- prctl ---- */

/* Does the option only ask, or set something that goes back with the memory? */
static bool only_asks(int option)
{
	static const int options[] = {
		PR_GET_PDEATHSIG,        PR_GET_DUMPABLE,     PR_GET_UNALIGN,
		PR_GET_KEEPCAPS,         PR_GET_FPEMU,        PR_GET_FPEXC,
		PR_GET_TIMING,           PR_GET_NAME,         PR_GET_ENDIAN,
		PR_GET_SECCOMP,          PR_CAPBSET_READ,     PR_GET_TSC,
		PR_GET_SECUREBITS,       PR_GET_TIMERSLACK,   PR_MCE_KILL_GET,
		PR_GET_CHILD_SUBREAPER,  PR_GET_NO_NEW_PRIVS, PR_GET_TID_ADDRESS,
		PR_GET_THP_DISABLE,      PR_GET_FP_MODE,      PR_SVE_GET_VL,
		PR_GET_SPECULATION_CTRL, PR_GET_IO_FLUSHER,   PR_SET_VMA,
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		if (options[i] == option)
			return true;
	return false;
}

static void note_prctl(int option)
{
	if (option == PR_SET_SECCOMP)
		child__must_end(FILTER);
	else if (option == PR_SET_NAME || option == PR_SET_PDEATHSIG)
		child__note_prctl();
	else if (!only_asks(option))
		child__must_end(ATTRIBUTES);
}

/* ---- system calls ---- */

static const struct {
	long number;
	const char *reason;
} calls[] = {
	{SYS_chdir, FOLDER},
	{SYS_fchdir, FOLDER},
	{SYS_chroot, ROOT},
	{SYS_pivot_root, ROOT},
	{SYS_umask, UMASK},
	{SYS_setrlimit, LIMITS},
	{SYS_timer_create, TIMERS},
	{SYS_setuid, RIGHTS},
	{SYS_setreuid, RIGHTS},
	{SYS_setresuid, RIGHTS},
	{SYS_setgid, RIGHTS},
	{SYS_setregid, RIGHTS},
	{SYS_setresgid, RIGHTS},
	{SYS_setgroups, RIGHTS},
	{SYS_setfsuid, RIGHTS},
	{SYS_setfsgid, RIGHTS},
	{SYS_capset, RIGHTS},
	{SYS_iopl, RIGHTS},
	{SYS_ioperm, RIGHTS},
	{LANDLOCK_RESTRICT_SELF, RIGHTS},
	{SYS_setsid, SESSION},
	{SYS_setpgid, GROUP},
	{SYS_setpriority, PRIORITY},
	{SYS_ioprio_set, PRIORITY},
	{SYS_sched_setparam, PRIORITY},
	{SYS_sched_setscheduler, PRIORITY},
	{SYS_sched_setattr, PRIORITY},
	{SYS_sched_setaffinity, PROCESSORS},
	{SYS_set_mempolicy, PROCESSORS},
	{SYS_mlockall, LOCKS},
	{SYS_unshare, NAMESPACES},
	{SYS_setns, NAMESPACES},
	{SYS_seccomp, FILTER},
	{SYS_pkey_alloc, KEYS},
	{SYS_io_setup, CONTEXTS},
};

void kept__note_call(long number, const uint64_t a[6])
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (calls[i].number == number)
			child__must_end(calls[i].reason);
	if (number == SYS_prctl)
		note_prctl((int)a[0]);
	if (number == SYS_prlimit64 && a[2])
		child__must_end(LIMITS);
	if (number == SYS_personality && (uint32_t)a[0] != UINT32_MAX)
		child__must_end(ATTRIBUTES);
	if (number == SYS_ptrace && a[0] == PTRACE_TRACEME)
		child__must_end(TRACED);
}

/* ---- functions ---- */

#define KEPT(type, name, parameters, arguments, reason)                                            \
	EXPORTED type name parameters                                                              \
	{                                                                                          \
		child__must_end(reason);                                                           \
		return NEXT(name) arguments; /* NOLINT(bugprone-macro-parentheses) */              \
	}

KEPT(int, chdir, (const char *path), (path), FOLDER)
KEPT(int, fchdir, (int fd), (fd), FOLDER)
KEPT(int, chroot, (const char *path), (path), ROOT)
KEPT(mode_t, umask, (mode_t mask), (mask), UMASK)
KEPT(int, setrlimit, (__rlimit_resource_t resource, const struct rlimit *limit), (resource, limit),
     LIMITS)
KEPT(int, setrlimit64, (__rlimit_resource_t resource, const struct rlimit64 *limit),
     (resource, limit), LIMITS)
KEPT(int, timer_create, (clockid_t clock, struct sigevent *event, timer_t *timer),
     (clock, event, timer), TIMERS)
KEPT(int, setuid, (uid_t uid), (uid), RIGHTS)
KEPT(int, seteuid, (uid_t uid), (uid), RIGHTS)
KEPT(int, setreuid, (uid_t ruid, uid_t euid), (ruid, euid), RIGHTS)
KEPT(int, setresuid, (uid_t ruid, uid_t euid, uid_t suid), (ruid, euid, suid), RIGHTS)
KEPT(int, setfsuid, (uid_t uid), (uid), RIGHTS)
KEPT(int, setgid, (gid_t gid), (gid), RIGHTS)
KEPT(int, setegid, (gid_t gid), (gid), RIGHTS)
KEPT(int, setregid, (gid_t rgid, gid_t egid), (rgid, egid), RIGHTS)
KEPT(int, setresgid, (gid_t rgid, gid_t egid, gid_t sgid), (rgid, egid, sgid), RIGHTS)
KEPT(int, setfsgid, (gid_t gid), (gid), RIGHTS)
KEPT(int, setgroups, (size_t count, const gid_t *groups), (count, groups), RIGHTS)
KEPT(int, initgroups, (const char *user, gid_t group), (user, group), RIGHTS)
/* Of libcap, which calls the C library's. */
int capset(void *header, void *data);
KEPT(int, capset, (void *header, void *data), (header, data), RIGHTS)
KEPT(pid_t, setsid, (void), (), SESSION)
KEPT(int, setpgid, (pid_t pid, pid_t group), (pid, group), GROUP)
KEPT(int, setpgrp, (void), (), GROUP)
KEPT(int, nice, (int step), (step), PRIORITY)
KEPT(int, setpriority, (__priority_which_t which, id_t who, int priority), (which, who, priority),
     PRIORITY)
KEPT(int, sched_setparam, (pid_t pid, const struct sched_param *parameters), (pid, parameters),
     PRIORITY)
KEPT(int, sched_setscheduler, (pid_t pid, int policy, const struct sched_param *parameters),
     (pid, policy, parameters), PRIORITY)
KEPT(int, pthread_setschedparam,
     (pthread_t thread, int policy, const struct sched_param *parameters),
     (thread, policy, parameters), PRIORITY)
KEPT(int, pthread_setschedprio, (pthread_t thread, int priority), (thread, priority), PRIORITY)
KEPT(int, sched_setaffinity, (pid_t pid, size_t bytes, const cpu_set_t *set), (pid, bytes, set),
     PROCESSORS)
KEPT(int, pthread_setaffinity_np, (pthread_t thread, size_t bytes, const cpu_set_t *set),
     (thread, bytes, set), PROCESSORS)
KEPT(int, mlockall, (int flags), (flags), LOCKS)
KEPT(int, unshare, (int flags), (flags), NAMESPACES)
KEPT(int, setns, (int fd, int type), (fd, type), NAMESPACES)
KEPT(int, pkey_alloc, (unsigned int flags, unsigned int rights), (flags, rights), KEYS)

EXPORTED int prlimit(pid_t pid, __rlimit_resource_t resource, const struct rlimit *limit,
		     struct rlimit *old)
{
	if (limit)
		child__must_end(LIMITS);
	return NEXT(prlimit)(pid, resource, limit, old);
}

EXPORTED int prlimit64(pid_t pid, __rlimit_resource_t resource, const struct rlimit64 *limit,
		       struct rlimit64 *old)
{
	if (limit)
		child__must_end(LIMITS);
	return NEXT(prlimit64)(pid, resource, limit, old);
}

EXPORTED int personality(unsigned long persona)
{
	if ((uint32_t)persona != UINT32_MAX)
		child__must_end(ATTRIBUTES);
	return NEXT(personality)(persona);
}

EXPORTED int pthread_setname_np(pthread_t thread, const char *name)
{
	child__note_prctl();
	return NEXT(pthread_setname_np)(thread, name);
}

static void note_semaphores(const struct sembuf *operations, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (operations[i].sem_flg & SEM_UNDO)
			child__must_end(UNDO);
}

EXPORTED int semop(int id, struct sembuf *operations, size_t count)
{
	note_semaphores(operations, count);
	return NEXT(semop)(id, operations, count);
}

EXPORTED int semtimedop(int id, struct sembuf *operations, size_t count,
			const struct timespec *timeout)
{
	note_semaphores(operations, count);
	return NEXT(semtimedop)(id, operations, count, timeout);
}

/* Takes as many arguments as the longest call has. */
#define TAKE_FOUR(last)                                                                            \
	unsigned long a[4];                                                                        \
	va_list arguments;                                                                         \
	va_start(arguments, last);                                                                 \
	for (int i = 0; i < 4; i++)                                                                \
		a[i] = va_arg(arguments, unsigned long);                                           \
	va_end(arguments)

EXPORTED long ptrace(enum __ptrace_request request, ...)
{
	TAKE_FOUR(request);
	if (request == PTRACE_TRACEME)
		child__must_end(TRACED);
	return NEXT(ptrace)(request, a[0], a[1], a[2], a[3]);
}

EXPORTED int prctl(int option, ...)
{
	TAKE_FOUR(option);
	note_prctl(option);
	return NEXT(prctl)(option, a[0], a[1], a[2], a[3]);
}
