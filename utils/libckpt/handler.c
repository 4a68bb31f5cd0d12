/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See handler.h. What a thread needs to be brought back is in the image: it stands in visit(),
 * behind getcontext(3). There it goes on, in this process or in another one, and returns from its
 * handler as from any other.
 */
#include "libckpt/handler.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/nocancel.h"
#include "capture/ask_rseq.h"
#include "capture/capture_attributes.h"
#include "capture/dumpable.h"
#include "libckpt/checkpoint.h"
#include "libckpt/ckpt.h"
#include "libckpt/cpu_time.h"
#include "libckpt/interval_timer.h"
#include "libckpt/message.h"
#include "libckpt/stop_threads.h"
#include "libckpt/timers.h"
#include "process/registrations.h"

/* What the handler needs of a thread's stack, and more than that. */
enum { LEADER_BYTES = 20 << 10, MEMBER_BYTES = 4 << 10 };

/* Its address is in the image; restart writes to it. */
static volatile struct image_restart restarted;

__attribute__((visibility("default"))) volatile unsigned int libckpt_restarts;

/* From the linker: between them is all that the library changes. */
extern char __bss_start[] __attribute__((visibility("hidden"))); /* NOLINT: the linker's name */
extern char _end[] __attribute__((visibility("hidden")));        /* NOLINT */

static struct {
	struct settings settings;
	struct ldso_locks locks;
	struct interval_timer interval_timer;
	struct timers timers;
	struct checkpoint checkpoint;
	volatile bool holds_timer, is_locked_in;
} self;

static void start_timer(void)
{
	if (!self.holds_timer)
		interval_timer__start(&self.interval_timer, &self.settings);
}

static void take_checkpoint(struct stopped_thread *leader, uint64_t start_ns)
{
	const bool has_all_timers =
		timers__note(&self.timers, interval_timer__number(&self.interval_timer));
	const struct checkpoint_context context = {
		.leader = leader,
		.restart = (struct image_restart *)&restarted,
		.variables = {(uintptr_t)__bss_start, (uintptr_t)_end},
		.lacks_timers = !has_all_timers,
		.come_again = self.timers.signals | 1ULL << (self.settings.signal - 1),
	};

	cpu_time__note_process();
	restarted.old_pid = getpid();
	ask_rseq__of(leader);
	checkpoint__take(&self.checkpoint, &self.settings, &context, start_ns);
}

/* Did the program stand still? */
static bool lead_dumpable(struct stopped_thread *leader, uint64_t start_ns)
{
	pid_t tid = 0;
	int err;

	settings__set_pid(&self.settings, getpid());
	if (checkpoint__is_busy(&self.checkpoint, &self.settings)) {
		message__text(&self.settings, "the one before is still being written", 0);
		return false;
	}
	err = stop_threads__gather(self.settings.signal, leader, &tid);
	if (err)
		message__not_stopped(&self.settings, err, tid);
	else
		take_checkpoint(leader, start_ns);
	return true;
}

static void lead(struct stopped_thread *leader)
{
	uint64_t start_ns = clock__now_ns();
	bool has_stopped;

	registrations__open_keys();
	dumpable__begin();
	has_stopped = lead_dumpable(leader, start_ns);
	dumpable__end();
	stop_threads__release(); /* last: another thread may lead now */
	if (has_stopped)
		message__pause(&self.settings, clock__now_ns() - start_ns);
}

/* Does every thread block a signal? Then it stays pending until one asks for it, as by
 * sigwait(3). */
static bool is_blocked(const struct stopped_thread *threads, int signal)
{
	for (; threads; threads = threads->next) {
		if (!(threads->thread.signal_mask >> (signal - 1) & 1))
			return false;
	}
	return true;
}

/* All threads are in our handler, which blocks it: it comes when they leave. */
static void send_restart_signal(const struct stopped_thread *threads)
{
	const int signal = self.settings.restart_signal;
	struct image_signal action = {0};

	(void)syscall(SYS_rt_sigaction, signal, NULL, &action, sizeof(uint64_t));
	if (action.handler == (uintptr_t)SIG_DFL && !is_blocked(threads, signal))
		message__unhandled_signal(signal);
	else
		(void)syscall(SYS_kill, getpid(), signal);
}

/* In a process that was brought back. No thread uses restart's memory any more when all have
 * met. */
static void come_back(const struct stopped_thread *thread, bool leads)
{
	int err;

	cpu_time__continue_thread();
	stop_threads__meet_again(thread);
	if (!leads)
		return;
	for (unsigned int i = 0; i < 4; i += 2) {
		uint64_t start = restarted.leftovers[i], end = restarted.leftovers[i + 1];

		if (start < end)
			(void)munmap((void *)start, end - start); /* NOLINT: an address */
	}
	restarted.restarted = 0;
	libckpt_restarts++;
	stop_threads__own();
	cpu_time__continue_process();
	ldso_locks__renumber(&self.locks, thread);
	checkpoint__come_back(&self.checkpoint);
	err = timers__start_again(&self.timers, thread);
	if (err)
		message__lost_timers(err);
	start_timer();
	if (self.settings.restart_signal)
		send_restart_signal(thread);
	stop_threads__release();
}

/*
 * The thread goes on from getcontext twice if the image is brought back. What this function needs
 * then is in its arguments, which do not change in between. restart has set the FS register, on
 * which errno and all that is thread-local depend.
 */
__attribute__((noinline)) static void visit(struct stopped_thread *thread, bool leads)
{
	cpu_time__note_thread();
	capture_threads__describe(thread);
	(void)getcontext(&thread->resume);
	if (restarted.restarted) {
		come_back(thread, leads);
		return;
	}
	if (leads)
		lead(thread);
	else
		stop_threads__join(thread);
}

/* Apart from handler__on_signal, whose frame must be small until the room on the stack is known. */
__attribute__((noinline)) static void take_part(enum stop_role role, ucontext_t *context)
{
	struct stopped_thread thread;

	memset(&thread, 0, sizeof(thread));
	thread.interrupted = context;
	visit(&thread, role == STOP_LEADER);
}

/* The signal may have interrupted a handler of the program that has a small stack of its own. */
static bool has_room(uintptr_t bytes)
{
	const uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	stack_t stack = {0};

	return syscall(SYS_sigaltstack, NULL, &stack) < 0 || !(stack.ss_flags & SS_ONSTACK) ||
	       here - (uintptr_t)stack.ss_sp >= bytes;
}

/* stderr_line.h would take a page of stack. */
static void refuse_on_small_stack(void)
{
	static const char text[] = "libckpt: no image: a handler of the program runs on too small "
				   "a stack of its own; the program goes on\n";

	(void)nocancel__write(STDERR_FILENO, text, sizeof(text) - 1);
}

static void answer(siginfo_t *info, void *context)
{
	enum stop_role role = stop_threads__role(info);

	if (role == STOP_NOBODY)
		return;
	if (has_room(role == STOP_LEADER ? LEADER_BYTES : MEMBER_BYTES)) {
		take_part(role, context);
	} else if (role == STOP_LEADER) {
		refuse_on_small_stack();
		stop_threads__release();
	} /* A member is called again: its handler may have ended then. */
	if (role == STOP_LEADER)
		interval_timer__rearm(&self.interval_timer, &self.settings);
}

/*
 * Many of our system calls are cancellation points, and the signal of pthread_cancel(3) cannot be
 * blocked: a leader that it ends leaves all others waiting. The type counts as well: glibc 2.36
 * ends a thread of the asynchronous type although its state is disabled, if the signal was on its
 * way then. A cancellation that arrived meanwhile takes effect when the type is restored, last.
 */
void handler__on_signal(int signal, siginfo_t *info, void *context)
{
	int kept = errno, type = 0, state = 0;

	(void)signal;
	if (self.is_locked_in)
		return;
	(void)pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &type);
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	answer(info, context);
	(void)pthread_setcancelstate(state, NULL);
	errno = kept;
	(void)pthread_setcanceltype(type, NULL);
}

void handler__prepare(const struct settings *settings, const struct ldso_locks *locks)
{
	self.settings = *settings;
	self.locks = *locks;
	stop_threads__own();
}

void handler__start_timer(void)
{
	start_timer();
}

void handler__start_in_child(void)
{
	cpu_time__forget();
	capture_attributes__note_locks(0); /* a child inherits none */
	stop_threads__own();
	settings__set_pid(&self.settings, getpid());
	start_timer();
}

void handler__hold_timer(bool hold)
{
	self.holds_timer = hold;
	if (hold)
		interval_timer__stop(&self.interval_timer);
	else
		start_timer();
}

void handler__lock_in(void)
{
	self.is_locked_in = true;
}

bool handler__stop_watching(void)
{
	return dirty__stop_watching(&self.checkpoint.dirty);
}

bool handler__has_watched(void)
{
	return dirty__has_watched(&self.checkpoint.dirty);
}
