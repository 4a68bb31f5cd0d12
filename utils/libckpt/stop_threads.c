/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See stop_threads.h. The words that threads wait on are in one struct, which is part of the image:
 * a process that was brought back finds it as it was while all stood still. A futex(2) of one
 * process is an address in it, so nothing of a wait has to be restored.
 */
#include "libckpt/stop_threads.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
	ROUND_MS = 20, /* between two looks for those that are missing */
	ROUNDS = 250,  /* 5 seconds */
	ADDRESS_BITS = 48,
};

static struct {
	/* The first member; in the upper bits, where addresses have none, the generation: a member
	 * that comes too late must not get into the list of the next one. */
	atomic_uintptr_t members;
	struct stopped_thread *leader;
	atomic_int leading;     /* the process that has a leader now, or 0; a fork copies it */
	atomic_uint generation; /* of gatherings; what a call must carry to be heeded */
	atomic_uint arrivals;   /* members of this generation */
	atomic_uint released;   /* the last generation that may go on */
	atomic_uint returned;   /* threads in stop_threads__meet_again */
	unsigned int count;
} gathering;

static pid_t tids[STOP_THREADS_MAX]; /* the leader's; too large for a stack */

/* Whose memory this is; in a page that a fork leaves behind: 0 in a child that is not known yet. */
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
			return; /* then a child of vfork is taken for one of fork */
		owner = page;
	}
	/* An image does not say it. On failure the page of a child holds the
	 * number of its parent. */
	if (madvise(owner, PAGE_BYTES, MADV_WIPEONFORK) < 0)
		owner = NULL;
	else
		*owner = getpid();
}

static int is_owner(int self)
{
	int nobody = 0;

	if (!owner || atomic_compare_exchange_strong(owner, &nobody, self))
		return 1;
	return nobody == self;
}

enum stop_role stop_threads__role(const siginfo_t *info)
{
	const int self = getpid();
	int leading = gathering.leading;

	if (!is_owner(self))
		return STOP_NOBODY;
	if (info->si_code == SI_QUEUE && info->si_pid == getpid() && info->si_ptr == &gathering) {
		/* Our own call. It may have been pending while the thread came for another. */
		return gathering.leading && (unsigned int)info->si_errno == gathering.generation &&
				       gathering.released != gathering.generation
			       ? STOP_MEMBER
			       : STOP_NOBODY;
	}
	/* If there is a leader already, this request is answered by its image: unless that is in
	 * the parent, and the fork came between its first step and its call to us. */
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

static int is_here(pid_t tid)
{
	for (const struct stopped_thread *v = first_member(gathering.members); v; v = v->next) {
		if (v->thread.tid == tid)
			return 1;
	}
	return 0;
}

/* Calls those that are not here; how many they are, or -errno. */
static int call_missing(int signal, pid_t self, pid_t *ret_tid)
{
	ssize_t count = capture__threads(tids, STOP_THREADS_MAX);
	int missing = 0;

	if (count < 0)
		return (int)count;
	if (count > STOP_THREADS_MAX)
		return -EFBIG;
	for (ssize_t i = 0; i < count; i++) {
		if (tids[i] == self || is_here(tids[i]))
			continue;
		call(tids[i], signal);
		*ret_tid = tids[i];
		missing++;
	}
	gathering.count = (unsigned int)count;
	return missing;
}

int stop_threads__gather(int signal, struct stopped_thread *first, pid_t *ret_tid)
{
	gathering.leader = first;
	gathering.arrivals = 0;
	gathering.returned = 0;
	gathering.generation++;
	gathering.members = generation_tag(gathering.generation);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		unsigned int arrivals = gathering.arrivals;
		int missing = call_missing(signal, first->thread.tid, ret_tid);

		if (missing < 0)
			return missing;
		if (missing == 0) { /* and nobody is left to start another one */
			first->next = first_member(gathering.members);
			return 0;
		}
		/* All that were called may come before the next look. */
		while (gathering.arrivals - arrivals < (unsigned int)missing) {
			unsigned int seen = gathering.arrivals;

			if (seen - arrivals >= (unsigned int)missing)
				break;
			sleep_on(&gathering.arrivals, seen, ROUND_MS);
			if (gathering.arrivals == seen)
				break;
		}
	}
	return -ETIMEDOUT;
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
			return; /* and will be called again, for the next one */
		thread->next = first_member(members);
	} while (!atomic_compare_exchange_weak(&gathering.members, &members,
					       tag | (uintptr_t)thread));
	gathering.arrivals++;
	wake_all(&gathering.arrivals);
	wait_for_release(generation);
}

void stop_threads__release(void)
{
	gathering.members = generation_tag(gathering.generation);
	gathering.leader = NULL;
	gathering.released = gathering.generation;
	wake_all(&gathering.released);
	gathering.leading = 0; /* from here on, somebody else may begin a new generation */
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
