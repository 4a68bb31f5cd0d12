/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Stopping threads with PTRACE_SEIZE and PTRACE_INTERRUPT, see ptrace(2). Only reap() waits with
 * WEXITED: the exit status of a child belongs to program.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/procfs.h"
#include "target/freeze.h"
#include "target/reason.h"
#include "target/registers.h"
#include "target/tracee.h"

enum {
	DEADLINE_SECONDS = 5,
	POLL_SECONDS = 30, /* a target may sleep between polls, or be in an emulated machine */
};

struct held {
	struct held *next;
	pid_t tid;
	int signal;   /* taken from it at its stop, given back when it goes on */
	bool running; /* it has not stopped yet */
	bool told;    /* to stop */
};

struct freeze {
	struct held *held, **end; /* in the order in which they were stopped */
	size_t count;
	int threads_fd; /* /proc/PID/task; -1 if the process was gone from the start */
	pid_t pid;
	pid_t ended; /* the first thread, if pid is another one; else 0 */
	bool child;
	bool keeps_registers; /* freeze__keep_registers() */
	bool has_ended;       /* freeze__has_ended() */
	uint64_t awake_ns;    /* freeze__stay_awake() */
	uint64_t since_ns;    /* when the first thread was told to stop; 0: none was */
	uint64_t until_ns;    /* when the last one was let go */
	struct tracee_waits waits;
};

int freeze__create(pid_t pid, bool child, struct freeze **ret_freeze)
{
	struct freeze *freeze = calloc(1, sizeof(*freeze));
	uint64_t process;

	if (!freeze)
		return -ENOMEM;
	freeze->end = &freeze->held;
	freeze->threads_fd = procfs__open(pid, "task", O_RDONLY | O_DIRECTORY);
	freeze->pid = pid;
	if (!procfs__status_u64(pid, "Tgid", &process) && process != (uint64_t)pid)
		freeze->ended = (pid_t)process;
	freeze->child = child;
	*ret_freeze = freeze;
	return 0;
}

/* The signal that caused a stop, to be given back; 0 for a stop of another kind. */
static int signal_of(int status)
{
	return status >> 8 || status == (SIGTRAP | 0x80) ? 0 : status;
}

static struct held *find(const struct freeze *freeze, pid_t tid)
{
	struct held *held = freeze->held;

	while (held && held->tid != tid)
		held = held->next;
	return held;
}

static void append(struct freeze *freeze, struct held *held)
{
	held->next = NULL;
	*freeze->end = held;
	freeze->end = &held->next;
	freeze->count++;
}

/* Traces thread tid, which runs on. */
static int seize(struct freeze *freeze, pid_t tid)
{
	struct held *held = malloc(sizeof(*held));
	int err;

	if (!held)
		return -ENOMEM;
	if (!freeze->count)
		freeze->since_ns = 0;
	if (ptrace(PTRACE_SEIZE, tid, NULL, PTRACE_O_TRACESYSGOOD)) {
		err = -errno;
		free(held);
		return err == -EPERM ? tracee__refusal(tid) : err;
	}
	*held = (struct held){.tid = tid, .running = true};
	append(freeze, held);
	return 0;
}

/* Tells a thread to stop. One that has ended is found by settle(). */
static void tell(struct freeze *freeze, struct held *held)
{
	if (held->told)
		return;
	held->told = true;
	tracee__begin_waits(&freeze->waits);
	if (!freeze->since_ns)
		freeze->since_ns = clock__now_ns();
	(void)ptrace(PTRACE_INTERRUPT, held->tid, NULL, NULL);
}

int freeze__interrupt(struct freeze *freeze, pid_t tid)
{
	int err = find(freeze, tid) ? 0 : seize(freeze, tid);

	if (!err)
		tell(freeze, find(freeze, tid));
	return err;
}

/* Waits until a thread that was interrupted stands still. */
static int settle(struct freeze *freeze, struct held *held)
{
	int err, status;

	if (!held->running)
		return 0;
	err = tracee__wait_stop(&freeze->waits, held->tid, freeze->awake_ns,
				clock__now_ns() + DEADLINE_SECONDS * 1000000000ULL, &status);
	if (err)
		return err;
	held->running = false;
	held->signal = signal_of(status);
	return 0;
}

/* The number of threads, from the link count of /proc/PID/task, at a tenth of what a listing takes.
 * 0 if the process is gone. A first thread that has ended counts there until all others have. */
static size_t count_threads(const struct freeze *freeze)
{
	const nlink_t others = freeze->ended ? 3 : 2;
	struct stat status;

	return fstat(freeze->threads_fd, &status) || status.st_nlink < others
		       ? 0
		       : status.st_nlink - others;
}

void freeze__forget(struct freeze *freeze, pid_t tid)
{
	struct held **at = &freeze->held, *held;

	while (*at && (*at)->tid != tid)
		at = &(*at)->next;
	held = *at;
	if (!held)
		return;
	*at = held->next;
	if (!held->next)
		freeze->end = at;
	freeze->count--;
	free(held);
}

/* The tracer must wait for a thread that ended while it was traced, or its parent is never told. */
static void reap(const struct freeze *freeze, pid_t tid)
{
	const struct timespec nap = {.tv_nsec = 50000};
	uint64_t deadline_ns = clock__now_ns() + DEADLINE_SECONDS * 1000000000ULL;

	if (tid == freeze->pid && freeze->child)
		return;
	do { /* it was killed, and may not have ended yet */
		siginfo_t info = {0};

		if (waitid(P_PID, (id_t)tid, &info, WEXITED | WNOHANG | __WALL) || info.si_pid)
			return;
		nanosleep(&nap, NULL);
	} while (clock__now_ns() < deadline_ns);
}

/* If err says that a thread has ended while it was held: forgets it, and returns 0. */
static int allow_end(struct freeze *freeze, pid_t tid, int err)
{
	if (err != -ESRCH || tid == freeze->pid)
		return err;
	reap(freeze, tid);
	freeze__forget(freeze, tid);
	return 0;
}

/* Stops all threads that are traced: tells all of them before it waits for the first. */
static int stop_traced(struct freeze *freeze)
{
	struct held *next;
	int err = 0;

	for (struct held *held = freeze->held; held; held = held->next)
		tell(freeze, held);
	for (struct held *held = freeze->held; held && !err; held = next) {
		next = held->next;
		err = allow_end(freeze, held->tid, settle(freeze, held));
	}
	return err;
}

/* Stops threads that are not held yet. All of them are traced before the first one stops. */
static int hold_new(struct freeze *freeze, pid_t except, bool *ret_grown)
{
	pid_t *tids = NULL;
	size_t count = 0;
	bool grown = false;
	int err = procfs__threads(freeze->pid, &tids, &count), settled;

	for (size_t i = 0; i < count && !err; i++) {
		if (tids[i] == except || tids[i] == freeze->ended || find(freeze, tids[i]))
			continue;
		err = allow_end(freeze, tids[i], seize(freeze, tids[i]));
		grown = true;
	}
	free(tids);
	settled = stop_traced(freeze);
	*ret_grown = grown;
	return err ? err : settled;
}

int freeze__stop(struct freeze *freeze, pid_t except)
{
	bool grown = true;
	int err = stop_traced(freeze);

	if (err)
		goto out;
	if (!except && !freeze->count && count_threads(freeze) == 1) {
		err = freeze__interrupt(freeze, freeze->pid);
		if (err)
			goto out;
		err = stop_traced(freeze);
	}
	while (grown && !err) { /* until a round finds no new thread */
		const size_t count = count_threads(freeze);

		if (count && count == freeze->count + !!except)
			break;
		err = hold_new(freeze, except, &grown);
	}
out:
	if (err)
		freeze__release(freeze);
	return err;
}

int freeze__step_to_poll(struct freeze *freeze, pid_t tid, const volatile __u64 *polls)
{
	uint64_t deadline_ns = clock__now_ns() + POLL_SECONDS * 1000000000ULL, before = *polls;
	struct held *held = find(freeze, tid);
	int err = 0, status;

	if (!held)
		return -ESRCH;
	while (*polls == before) {
		if (ptrace(PTRACE_SYSCALL, tid, NULL, (void *)(intptr_t)held->signal))
			return -errno;
		held->signal = 0;
		err = tracee__wait_stop(&freeze->waits, tid, freeze->awake_ns, deadline_ns,
					&status);
		if (err)
			break;
		held->signal = signal_of(status);
	}
	if (err != -REASON_NOT_STOPPED)
		return err;
	held->running = true;
	if (!ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) &&
	    !tracee__wait_stop(&freeze->waits, tid, freeze->awake_ns,
			       clock__now_ns() + 1000000000ULL, &status)) {
		held->running = false;
		held->signal = signal_of(status);
	}
	return -REASON_NOT_POLLING;
}

/* As the kernel does it for -ERESTARTNOINTR (arch/x86/kernel/signal.c): back to the instruction,
 * which has two bytes. */
void freeze__repeat_poll(const struct freeze *freeze, pid_t tid)
{
	struct held *held = find(freeze, tid);
	struct user_regs_struct registers;

	if (!held || held->running || ptrace(PTRACE_GETREGS, tid, NULL, &registers))
		return;
	if ((long)registers.rax != -ENOENT ||
	    (registers.orig_rax != SYS_access && registers.orig_rax != SYS_faccessat &&
	     registers.orig_rax != SYS_faccessat2))
		return;
	registers.rax = registers.orig_rax;
	registers.rip -= 2;
	(void)ptrace(PTRACE_SETREGS, tid, NULL, &registers); /* else the thread polls by itself */
}

/* Has the thread's own last instruction caused the signal that it stopped for? */
static bool is_fault(const struct held *held)
{
	siginfo_t info;

	switch (held->signal) {
	case SIGSEGV:
	case SIGBUS:
	case SIGILL:
	case SIGFPE:
	case SIGTRAP:
		return !ptrace(PTRACE_GETSIGINFO, held->tid, NULL, &info) && info.si_code > 0;
	default:
		return false;
	}
}

int freeze__deliver(struct freeze *freeze, bool drop_faults)
{
	const uint64_t deadline_ns = clock__now_ns() + DEADLINE_SECONDS * 1000000000ULL;
	int status, err;

	for (struct held *held = freeze->held; held; held = held->next) {
		while (held->signal) {
			if (drop_faults && is_fault(held))
				held->signal = 0;
			if (ptrace(PTRACE_INTERRUPT, held->tid, NULL, NULL) ||
			    ptrace(PTRACE_CONT, held->tid, NULL, (void *)(intptr_t)held->signal))
				return -errno;
			held->running = true;
			held->signal = 0;
			err = tracee__wait_stop(&freeze->waits, held->tid, freeze->awake_ns,
						deadline_ns, &status);
			if (err)
				return err;
			held->running = false;
			held->signal = signal_of(status);
		}
	}
	return 0;
}

int freeze__kill_on_death(const struct freeze *freeze, bool kill)
{
	const uintptr_t options = PTRACE_O_TRACESYSGOOD | (kill ? PTRACE_O_EXITKILL : 0);

	for (const struct held *held = freeze->held; held; held = held->next)
		if (!held->running && ptrace(PTRACE_SETOPTIONS, held->tid, NULL, (void *)options))
			return -errno;
	return 0;
}

int freeze__for_each(const struct freeze *freeze, int (*each)(pid_t tid, void *argument),
		     void *argument)
{
	int err = 0;

	for (const struct held *held = freeze->held; held && !err; held = held->next)
		if (!held->running)
			err = each(held->tid, argument);
	return err;
}

void freeze__stay_awake(struct freeze *freeze, uint64_t awake_ns)
{
	freeze->awake_ns = awake_ns;
}

void freeze__keep_registers(struct freeze *freeze)
{
	freeze->keeps_registers = true;
}

uint64_t freeze__stop_ns(const struct freeze *freeze)
{
	return freeze->until_ns - freeze->since_ns;
}

void freeze__release(struct freeze *freeze)
{
	bool leader_ended = false, keeps_registers;
	struct held *held, *next;

	if (!freeze)
		return;
	keeps_registers = freeze->keeps_registers;
	freeze->keeps_registers = false;
	held = freeze->held;
	freeze->end = &freeze->held;
	freeze->held = NULL;
	freeze->count = 0;
	for (; held; held = next) {
		int status = 0, err = 0;

		next = held->next;
		if (held->running) {
			err = tracee__wait_stop(&freeze->waits, held->tid, 0, 0, &status);
			held->signal = signal_of(status);
		}
		if (err == -REASON_NOT_STOPPED) {
			held->signal = 0;
			append(freeze, held);
			continue;
		}
		if (!keeps_registers)
			registers__restart(held->tid);
		if (err || ptrace(PTRACE_DETACH, held->tid, NULL, (void *)(intptr_t)held->signal)) {
			if (held->tid == freeze->pid)
				leader_ended = true;
			else
				reap(freeze, held->tid);
		}
		free(held);
	}
	freeze->until_ns = clock__now_ns();
	tracee__end_waits(&freeze->waits);
	freeze->has_ended = leader_ended;
	if (leader_ended) /* it ends after all other threads */
		reap(freeze, freeze->pid);
}

bool freeze__has_ended(const struct freeze *freeze)
{
	return freeze->has_ended;
}

bool freeze__holds_only(const struct freeze *freeze, pid_t tid)
{
	return freeze->count == 1 && freeze->held->tid == tid;
}

bool freeze__holds_any(const struct freeze *freeze)
{
	return freeze->count;
}

void freeze__free(struct freeze *freeze)
{
	struct held *held, *next;

	if (!freeze)
		return;
	freeze__release(freeze);
	for (held = freeze->held; held; held = next) { /* threads that have not stopped yet */
		next = held->next;
		free(held);
	}
	if (freeze->threads_fd >= 0)
		(void)close(freeze->threads_fd);
	free(freeze);
}
