/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See stop_threads.h. Threads wait on words of one struct, which is a part of the image: a process
 * that was brought back finds it as it was while all stood still. A private futex(2) is only an
 * address, so nothing else of a wait has to be restored.
 */
#include "libckpt/stop_threads.h"

#include <linux/futex.h>
#include <linux/ptrace.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/page.h"
#include "base/proc_text.h"
#include "capture/tracing_child.h"

enum {
	ROUND_MS = 20, /* after which those that are missing are called again */
	ROUNDS = 250,  /* 5 seconds */
	/* The C library blocks all signals for a moment now and then. After so many rounds, a
	 * thread that sleeps, or runs, is given up. */
	PATIENCE = 3,
	PATIENCE_RUNNING = 25,
	ADDRESS_BITS = 48,
};

static struct {
	/* The first member. The generation is in the upper bits, which no address uses: a member
	 * that comes too late must not get into the list of the next generation. */
	atomic_uintptr_t members;
	struct stopped_thread *leader;
	atomic_int leading;     /* the process that has a leader now, or 0; a fork copies it */
	atomic_uint generation; /* the number of this gathering; members are called with it */
	atomic_uint arrivals;   /* members that have come */
	atomic_uint released;   /* the last generation that may go on */
	atomic_uint returned;   /* threads in stop_threads__meet_again */
	unsigned int count;
} gathering;

/* The leader's; too large for a stack. */
static pid_t tids[STOP_THREADS_MAX];
static pid_t called[STOP_THREADS_MAX]; /* in this generation */
static size_t called_count;
/* The last that was found to block the signal. The next time, nobody waits for it in vain. */
static pid_t deaf_before;

/* The process whose memory this is. A fork clears the page: 0 in a child that has not claimed
 * it. */
static atomic_int *owner;

static uintptr_t generation_tag(unsigned int generation)
{
	return (uintptr_t)generation << ADDRESS_BITS;
}

static struct stopped_thread *first_member(uintptr_t members)
{
	/* NOLINTNEXTLINE */
	return (struct stopped_thread *)(members & (((uintptr_t)1 << ADDRESS_BITS) - 1));
}

static void sleep_on(atomic_uint *word, unsigned int value, unsigned int ms)
{
	struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	(void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, ms ? &time : NULL, NULL, 0);
}

static void wake_all(atomic_uint *word)
{
	(void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, STOP_THREADS_MAX, NULL, NULL, 0);
}

void stop_threads__own(void)
{
	if (!owner) {
		void *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (page == MAP_FAILED)
			return; /* a child of vfork is then taken for one of fork */
		owner = page;
	}
	/* Each time, for an image does not know it. Without it, a child would see its parent's
	 * number. */
	if (madvise(owner, PAGE_BYTES, MADV_WIPEONFORK) < 0)
		owner = NULL;
	else
		*owner = getpid();
}

static bool is_owner(int self)
{
	int found = 0;

	if (!owner || atomic_compare_exchange_strong(owner, &found, self))
		return true;
	return found == self;
}

enum stop_role stop_threads__role(const siginfo_t *info)
{
	const int self = getpid();
	int leading = gathering.leading;

	if (!is_owner(self))
		return STOP_NOBODY;
	if (info->si_code == SI_QUEUE && info->si_pid == getpid() && info->si_ptr == &gathering) {
		/* Our own call. It is out of date if it was pending while the thread came
		 * already. */
		return gathering.leading && (unsigned int)info->si_errno == gathering.generation &&
				       gathering.released != gathering.generation
			       ? STOP_MEMBER
			       : STOP_NOBODY;
	}
	/* If there is a leader already, its image answers this request as well. But a leader whose
	 * number is another process's was copied by a fork: it leads the parent. */
	return leading != self && atomic_compare_exchange_strong(&gathering.leading, &leading, self)
		       ? STOP_LEADER
		       : STOP_NOBODY;
}

static void call(pid_t tid, int signal)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = signal;
	info.si_code = SI_QUEUE;
	info.si_pid = getpid();
	info.si_uid = getuid();
	info.si_errno = (int)gathering.generation;
	info.si_ptr = &gathering;
	/* ESRCH: it has just ended, and will not be in the next list. */
	(void)syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, signal, &info);
}

static bool is_here(pid_t tid)
{
	for (const struct stopped_thread *t = first_member(gathering.members); t; t = t->next) {
		if (t->thread.tid == tid)
			return true;
	}
	return false;
}

/* Reads /proc/self/task/TID/status. Returns NULL if the thread has ended. */
static const char *read_status(pid_t tid)
{
	static char text[4096]; /* the leader's */
	char path[64];

	proc_text__make_path(path, "/proc/self/task/", (uint64_t)tid, 10, "/status");
	return proc_text__read(path, text, sizeof(text)) > 0 ? text : NULL;
}

static bool has_signal(const char *status, const char *name, int signal)
{
	return proc_text__find_number(status, name, 16) >> (signal - 1) & 1;
}

/* Returns the letter of the state in what read_status returned, or 0. */
static char find_state(const char *status)
{
	const char *state = status ? strstr(status, "\nState:\t") : NULL;

	if (!state)
		return 0;
	return state[strlen("\nState:\t")];
}

static bool was_called(pid_t tid)
{
	for (size_t i = 0; i < called_count; i++) {
		if (called[i] == tid)
			return true;
	}
	return false;
}

/* Is the call of a thread pending, or has the thread taken it, so that our handler runs with all
 * signals blocked? Another call would stay pending then, as if the thread blocked the signal. The
 * same holds if a debugger (state t) stops the thread between the two. */
static bool is_coming(pid_t tid, int signal)
{
	const char *status = was_called(tid) ? read_status(tid) : NULL;

	return status && (find_state(status) == 't' || has_signal(status, "SigPnd:", signal) ||
			  has_signal(status, "SigBlk:", signal));
}

static void call_unless_coming(pid_t tid, int signal)
{
	if (is_coming(tid, signal))
		return;
	call(tid, signal);
	if (called_count < STOP_THREADS_MAX && !was_called(tid))
		called[called_count++] = tid;
}

/* Calls the threads that are not here. Returns how many they are, with one of them in *ret_tid; or
 * -errno. */
static int call_missing(int signal, pid_t self, pid_t *ret_tid)
{
	ssize_t count = capture_threads__list(tids, STOP_THREADS_MAX);
	int missing = 0;

	if (count < 0)
		return (int)count;
	if (count > STOP_THREADS_MAX)
		return -STOP_MANY;
	for (ssize_t i = 0; i < count; i++) {
		if (tids[i] == self || is_here(tids[i]))
			continue;
		call_unless_coming(tids[i], signal);
		*ret_tid = tids[i];
		missing++;
	}
	gathering.count = (unsigned int)count;
	return missing;
}

enum hearing {
	HEARS,
	BLOCKS, /* our call is pending: it has the signal blocked */
	ENDED,  /* a zombie: the main thread, which has ended alone */
};

/* may_run: does a thread count that is not asleep? A thread in our handler has the signal blocked
 * as well, but has taken the call. A thread that a debugger has stopped comes later. */
static enum hearing find_hearing(pid_t tid, int signal, bool may_run)
{
	const char *text = read_status(tid);
	const char state = find_state(text);

	if (state == 'Z')
		return ENDED;
	if (state == '\0' || state == 't' || (state != 'S' && !may_run))
		return HEARS;
	return has_signal(text, "SigBlk:", signal) && has_signal(text, "SigPnd:", signal) ? BLOCKS
											  : HEARS;
}

static void unblock(size_t i, pid_t tid, void *argument)
{
	const int signal = *(const int *)argument;
	uint64_t mask;

	(void)i;
	if (tracing_child__ask(PTRACE_GETSIGMASK, tid, sizeof(mask), &mask) < 0)
		return;
	mask &= ~((uint64_t)1 << (signal - 1));
	(void)tracing_child__ask(PTRACE_SETSIGMASK, tid, sizeof(mask), &mask);
}

/* Unblocks the signal in all threads that block it. Returns false if one is left that will never
 * come, which is then in *ret_tid. */
static bool make_hear(int signal, pid_t self, bool may_run, pid_t *ret_tid)
{
	ssize_t count = capture_threads__list(tids, STOP_THREADS_MAX), deaf = 0;

	if (count > STOP_THREADS_MAX) /* call_missing refuses so many */
		count = STOP_THREADS_MAX;
	for (ssize_t i = 0; i < count; i++) {
		const pid_t tid = tids[i];

		/* In this order: a thread that comes meanwhile sleeps here with all blocked. */
		if (tid != self && find_hearing(tid, signal, may_run) == BLOCKS && !is_here(tid))
			tids[deaf++] = tid;
	}
	if (deaf > 0)
		tracing_child__visit(tids, (size_t)deaf, unblock, &signal);
	for (ssize_t i = 0; i < deaf; i++) {
		if (find_hearing(tids[i], signal, may_run) == HEARS || is_here(tids[i]))
			continue;
		*ret_tid = tids[i];
		return false;
	}
	return is_here(*ret_tid) || find_hearing(*ret_tid, signal, may_run) != ENDED;
}

int stop_threads__gather(int signal, struct stopped_thread *first, pid_t *ret_tid)
{
	gathering.leader = first;
	gathering.arrivals = 0;
	called_count = 0;
	gathering.returned = 0;
	gathering.generation++;
	gathering.members = generation_tag(gathering.generation);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		unsigned int arrivals = gathering.arrivals;
		int missing = call_missing(signal, first->thread.tid, ret_tid);
		unsigned int patience;
		bool may_run;

		if (missing < 0)
			return missing;
		if (missing == 0) { /* nobody is left who could start another thread */
			first->next = first_member(gathering.members);
			return 0;
		}
		may_run = round >= PATIENCE_RUNNING;
		patience = *ret_tid == deaf_before ? 0 : PATIENCE;
		if (round >= patience && find_hearing(*ret_tid, signal, may_run) != HEARS) {
			deaf_before = *ret_tid;
			if (!make_hear(signal, first->thread.tid, may_run, ret_tid))
				return -STOP_DEAF;
		}
		/* Until all that were called have come, or nobody comes for a round. */
		while (gathering.arrivals - arrivals < (unsigned int)missing) {
			unsigned int seen = gathering.arrivals;

			if (seen - arrivals >= (unsigned int)missing)
				break;
			sleep_on(&gathering.arrivals, seen, ROUND_MS);
			if (gathering.arrivals == seen)
				break;
		}
	}
	return -STOP_ABSENT;
}

static void wait_for_release(unsigned int generation)
{
	unsigned int released;

	while ((int)((released = gathering.released) - generation) < 0)
		sleep_on(&gathering.released, released, 0);
}

void stop_threads__join(struct stopped_thread *thread)
{
	const unsigned int generation = gathering.generation;
	const uintptr_t tag = generation_tag(generation);
	uintptr_t members = gathering.members;

	do {
		if (members - (uintptr_t)first_member(members) != tag)
			return; /* too late; it will be called again for the next generation */
		thread->next = first_member(members);
	} while (!atomic_compare_exchange_weak(&gathering.members, &members,
					       tag | (uintptr_t)thread));
	gathering.arrivals++;
	wake_all(&gathering.arrivals);
	wait_for_release(generation);
}

void stop_threads__release(void)
{
	const unsigned int generation = gathering.generation;
	unsigned int released = gathering.released;

	gathering.members = generation_tag(generation);
	gathering.leader = NULL;
	/* Before they wake up: a request that has come meanwhile makes one of them the leader. Its
	 * gathering may even have failed by now. */
	gathering.leading = 0;
	while ((int)(generation - released) > 0 &&
	       !atomic_compare_exchange_weak(&gathering.released, &released, generation))
		;
	wake_all(&gathering.released);
}

void stop_threads__meet_again(const struct stopped_thread *thread)
{
	unsigned int returned = ++gathering.returned, generation = gathering.generation;

	if (thread != gathering.leader) {
		wake_all(&gathering.returned);
		wait_for_release(generation);
		return;
	}
	while (returned < gathering.count) {
		sleep_on(&gathering.returned, returned, 0);
		returned = gathering.returned;
	}
}

unsigned int stop_threads__count(void)
{
	return gathering.count;
}
