/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See timers.h. /proc/self/timers tells what timer_create(2) was told. The kernel gives out numbers
 * in turn, and a new process has none yet, so those between two timers are made and deleted. The C
 * library notifies a thread of its own of timers with SIGEV_THREAD, so that is one kind of
 * SIGEV_THREAD_ID. Source: proc(5); show_timer in fs/proc/base.c; kernel/time/posix-timers.c.
 */
#include "libckpt/timers.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/proc_text.h"

enum {
	TEXT_BYTES = TIMERS_MAX * 128,
	SKIPPED_MAX = 1 << 20, /* numbers that are not in use; some 2 us each */
	CLOCK_OF_PROCESS = -6, /* CLOCK_PROCESS_CPUTIME_ID as the kernel has it */
};

static char text[TEXT_BYTES];

/* The number behind a word, which may be negative. */
static int find_number(const char *from, const char *word)
{
	const char *at = strstr(from, word);
	bool is_negative;
	int value;

	if (!at)
		return 0;
	at += strlen(word);
	is_negative = *at == '-';
	at += is_negative;
	value = (int)proc_text__take_number(&at, 10);
	return is_negative ? -value : value;
}

/* Four lines:
 *	ID: 0
 *	signal: 14/00007ffd4b3e21c0
 *	notify: signal/pid.2301, or none/pid.2301, or signal/tid.2302
 *	ClockID: 1
 * Returns whether it can be made again. */
static bool read_timer(const char *entry, struct timer *ret)
{
	const char *value = strstr(entry, "signal: "), *notify = strstr(entry, "notify: ");
	const bool is_of_thread = notify && strstr(notify, "/tid.") &&
				  strstr(notify, "/tid.") < strstr(notify, "ClockID:");

	if (!value || !notify)
		return false;
	value = strchr(value, '/') + 1;
	*ret = (struct timer){
		.id = find_number(entry, "ID: "),
		.signal = find_number(entry, "signal: "),
		.clock = find_number(entry, "ClockID: "),
		.value = proc_text__take_number(&value, 16),
		.tid = is_of_thread ? find_number(notify, "/tid.") : 0,
		.notify = is_of_thread                               ? SIGEV_THREAD_ID
			  : strncmp(notify, "notify: none", 12) == 0 ? SIGEV_NONE
								     : SIGEV_SIGNAL,
	};
	/* Clocks of threads have their numbers in them. */
	if (ret->clock < 0 && ret->clock != CLOCK_OF_PROCESS)
		return false;
	return syscall(SYS_timer_gettime, ret->id, &ret->left) == 0;
}

static uint64_t bit(int signal)
{
	return (uint64_t)1 << (signal - 1);
}

/* The kernel lists the youngest first, but not always. */
static void insert(struct timers *timers, const struct timer *timer)
{
	size_t i = timers->count++;

	for (; i > 0 && timers->items[i - 1].id > timer->id; i--)
		timers->items[i] = timers->items[i - 1];
	timers->items[i] = *timer;
	if (timer->notify == SIGEV_SIGNAL &&
	    (timer->left.it_interval.tv_sec || timer->left.it_interval.tv_nsec))
		timers->signals |= bit(timer->signal);
}

/* A timer that has just expired is set again only when its signal is taken, which is blocked here.
 * So it expires once more. */
static void note_of_process(struct timers *timers)
{
	static const int signals[TIMERS_OF_PROCESS] = {SIGALRM, SIGVTALRM, SIGPROF};
	uint64_t pending = 0;

	(void)syscall(SYS_rt_sigpending, &pending, sizeof(pending));
	for (int i = 0; i < TIMERS_OF_PROCESS; i++) {
		struct itimerval *timer = &timers->of_process[i];

		(void)syscall(SYS_getitimer, i, timer);
		if (timer->it_value.tv_sec || timer->it_value.tv_usec ||
		    !(pending & bit(signals[i])))
			continue;
		timer->it_value.tv_usec = 1;
		timers->signals |= bit(signals[i]);
	}
}

bool timers__note(struct timers *timers, int own_id)
{
	const ssize_t n = proc_text__read("/proc/self/timers", text, sizeof(text));
	bool is_all = n != -EFBIG;

	timers->count = 0;
	timers->signals = 0;
	note_of_process(timers);
	for (const char *p = text; n > 0 && (p = strstr(p, "ID: "));
	     p = strstr(p, "ClockID: ") + 8) {
		struct timer timer;

		if (find_number(p, "ID: ") == own_id)
			continue;
		if (timers->count < TIMERS_MAX && read_timer(p, &timer))
			insert(timers, &timer);
		else
			is_all = false;
	}
	return is_all;
}

static int make(const struct timer *timer, const struct stopped_thread *threads)
{
	struct sigevent event;
	int id = -1;

	memset(&event, 0, sizeof(event));
	event.sigev_notify = timer->notify;
	event.sigev_signo = timer->signal;
	event.sigev_value.sival_ptr = (void *)timer->value; /* NOLINT: as the kernel has it */
	if (timer->notify == SIGEV_THREAD_ID)
		event._sigev_un._tid = capture_threads__new_tid(threads, timer->tid);
	for (int skipped = 0;; skipped++) {
		if (syscall(SYS_timer_create, timer->clock, &event, &id) < 0)
			return -errno;
		if (id == timer->id)
			break;
		(void)syscall(SYS_timer_delete, id);
		if (id > timer->id || skipped == SKIPPED_MAX)
			return -EEXIST;
	}
	return syscall(SYS_timer_settime, id, 0, &timer->left, NULL) < 0 ? -errno : 0;
}

int timers__start_again(const struct timers *timers, const struct stopped_thread *threads)
{
	int err = 0;

	for (int i = 0; i < TIMERS_OF_PROCESS; i++) {
		if (syscall(SYS_setitimer, i, &timers->of_process[i], NULL) < 0)
			err = -errno;
	}
	for (size_t i = 0; i < timers->count; i++) {
		int failed = make(&timers->items[i], threads);

		if (failed)
			err = failed;
	}
	return err;
}
