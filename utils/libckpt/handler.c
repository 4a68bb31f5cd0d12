/* SPDX-License-Identifier: BSD-2-Clause
 *
 * libckpt: preloaded into a program, it writes the program's image when a signal comes. See
 * libckpt(7).
 *
 * The signal interrupts a thread anywhere, in the middle of malloc for example: from on_signal on,
 * only system calls, memory functions and zlib with memory of our own are used. What the image
 * needs to be brought back is in it: each thread stands in visit(), behind getcontext(3), and there
 * it goes on, in this process or in another one, and returns from its handler as from any other.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/nocancel.h"
#include "libckpt/handler.h"

#include "libckpt/ask_rseq.h"
#include "libckpt/capture.h"
#include "libckpt/dirty.h"
#include "libckpt/history.h"
#include "libckpt/message.h"
#include "libckpt/save.h"
#include "libckpt/stop_threads.h"
#include "image/registrations.h"

/* Its address is in the image; restart writes to it. */
static volatile struct image_restart restarted;

/* All that libckpt and its parts change is in here. From the linker. */
extern char __bss_start[] __attribute__((visibility("hidden"))); /* NOLINT: the linker's name */
extern char _end[] __attribute__((visibility("hidden")));        /* NOLINT */

static struct {
	struct settings settings;
	pid_t child;                 /* with CKPT_FORK: who writes; 0: nobody */
	struct history_item pending; /* what it writes */
	char temporary[PATH_MAX];    /* where, until it is done */
	struct history history;
	struct dirty dirty;
	struct ldso_locks locks;
	pid_t timer_owner; /* who has one for CKPT_INTERVAL; a fork has none */
	int timer;         /* the kernel's number */
} self;

static uint64_t now_ns(void)
{
	struct timespec time = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* ---- CKPT_INTERVAL ---- */

/* The kernel sends our signal once: a timer that goes on by itself would let a program do nothing
 * but images, when one takes longer than the interval. */
static int set_timer(void)
{
	const uint64_t ns = self.settings.interval_ns;
	const struct itimerspec time = {
		.it_value = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)}};

	return (int)syscall(SYS_timer_settime, self.timer, 0, &time, NULL);
}

/* After each request, whatever has become of it. */
static void rearm_timer(void)
{
	if (self.timer_owner == getpid() && set_timer() < 0)
		message__text(&self.settings, "cannot set the timer for CKPT_INTERVAL", -errno);
}

/* A timer is not part of an image. */
static void start_timer(void)
{
	struct sigevent event;

	self.timer_owner = 0;
	if (self.settings.interval_ns == 0)
		return;
	memset(&event, 0, sizeof(event));
	event.sigev_notify = SIGEV_SIGNAL;
	event.sigev_signo = self.settings.signal;
	if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &self.timer) < 0 || set_timer() < 0)
		message__text(&self.settings, "cannot start a timer for CKPT_INTERVAL", -errno);
	else
		self.timer_owner = getpid();
}

/* ---- a checkpoint ---- */

/* A write beyond RLIMIT_FSIZE makes this signal, which would end the program later. All signals are
 * blocked here, so it is pending. */
static void drop_file_size_signal(void)
{
	const struct timespec at_once = {0};
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGXFSZ);
	(void)syscall(SYS_rt_sigtimedwait, &set, NULL, &at_once, sizeof(uint64_t));
}

/* The newest image is of this id and depth from now on. */
static void note_success(const struct history_item *item)
{
	history__add(&self.history, self.settings.path, item, self.settings.keep);
}

/* Nothing can be added to an image that is not there. */
static void note_failure(void)
{
	history__forget(&self.history);
}

/*
 * The child of an earlier CKPT_FORK. It sends no signal when it ends, so the program's own wait(2)
 * never meets it. Returns whether it still writes. It is another's, and nothing is known of its
 * image, in a process that was forked since.
 */
static int child_is_busy(void)
{
	int status = 0;
	pid_t ended;

	if (self.child == 0)
		return 0;
	ended = nocancel__wait(self.child, &status, WNOHANG | __WALL);
	if (ended == 0)
		return 1;
	self.child = 0;
	if (ended > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		note_success(&self.pending);
	else
		note_failure();
	if (ended > 0 && WIFSIGNALED(status)) { /* it could neither say so nor clean up */
		(void)unlink(self.temporary);
		message__killed_child(&self.settings, WTERMSIG(status));
	}
	return 0;
}

static int report(struct saving *saving, int err, uint64_t start_ns)
{
	if (err == -EFBIG)
		drop_file_size_signal();
	if (err)
		message__failure(&self.settings, saving, err);
	else if (self.settings.verbose)
		message__success(&self.settings, saving, now_ns() - start_ns);
	return err;
}

/* The file is known before it is written: what is at the path later may be another process's. */
static int open_file(struct saving *saving)
{
	int err = save__open(saving);

	self.pending = self.history.written;
	self.pending.id = saving->image->info.id;
	self.pending.depth = saving->request->depth;
	return err;
}

static int write_here(struct saving *saving, uint64_t start_ns)
{
	int err = open_file(saving);

	if (!err)
		err = save__write(saving);
	return report(saving, err, start_ns);
}

static int work_of_child(struct saving *saving, int planned)
{
	int err = save__reopen(saving);

	if (!err && !planned)
		err = save__plan(saving);
	if (err)
		save__abort(saving);
	return err ? err : save__write(saving);
}

/* A child has the memory of this moment, as copy-on-write. It has one thread, and ends here. The
 * offsets of open files are not its own: they are described before. */
static int write_in_child(struct saving *saving, int planned, uint64_t start_ns)
{
	int err = open_file(saving);
	long child;

	if (err)
		return report(saving, err, start_ns);
	child = syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);
	if (child < 0) {
		err = -errno;
		message__text(&self.settings, "cannot fork", err);
		save__abort(saving);
		return err;
	}
	if (child == 0)
		_exit(report(saving, work_of_child(saving, planned), start_ns) ? 1 : 0);
	memcpy(self.temporary, saving->writer->output.temporary, sizeof(self.temporary));
	save__leave(saving);
	self.child = (pid_t)child;
	return 0;
}

/* Decides what kind of image comes next, and gives the last one a name of its own if it is needed
 * later. */
static void choose_parent(struct save_request *request)
{
	const struct history_item *newest = history__newest(&self.history);

	if (!self.settings.incremental && self.settings.keep == 1)
		return;
	if (self.settings.incremental)
		dirty__open(&self.dirty);
	if (!newest || history__name(&self.history, self.settings.path))
		return;
	if (!self.settings.incremental || newest->depth + 1 == HISTORY_CHAIN)
		return;
	request->parent = self.history.parent;
	request->parent_id = newest->id;
	request->depth = newest->depth + 1;
}

static int describe_and_plan(struct saving *saving, const struct save_request *request)
{
	int err = save__describe(saving, request);

	return err ? err : save__plan(saving);
}

/* Plans an increment if it can be, or else a full image. */
static int plan_image(struct saving *saving, struct save_request *request)
{
	int err = describe_and_plan(saving, request);

	if (err != -EFBIG || !request->parent)
		return err;
	save__close(saving);
	request->parent = NULL;
	request->depth = 0;
	return describe_and_plan(saving, request);
}

/* With CKPT_FORK, and without increments, to find the pages is the child's work as well. */
static int save(struct saving *saving, struct save_request *request, uint64_t start_ns)
{
	const int planned = !self.settings.fork || self.settings.incremental;
	int err = planned ? plan_image(saving, request) : save__describe(saving, request);

	if (err) {
		message__failure(&self.settings, saving, err);
		return err;
	}
	err = self.settings.fork ? write_in_child(saving, planned, start_ns)
				 : write_here(saving, start_ns);
	if (!err && request->dirty)
		dirty__commit(request->dirty, saving->image);
	return err;
}

static void take_image(struct stopped_thread *leader, uint64_t start_ns)
{
	struct save_request request = {
		.path = self.settings.path,
		.threads = leader,
		.restart = (struct image_restart *)&restarted,
		.variables = {(uintptr_t)__bss_start, (uintptr_t)_end},
		.history = &self.history,
		.dirty = self.settings.incremental ? &self.dirty : NULL,
		.missing = capture__missing(self.timer_owner == getpid()),
	};
	struct saving saving = {.pages.mem_fd = -1};
	int err;

	restarted.old_pid = getpid();
	ask_rseq__of(leader);
	err = history__spare(&self.history, self.settings.path);
	if (err) {
		message__text(&self.settings,
			      "there is another image than the one that this process came from, "
			      "which cannot get a second name",
			      err);
		return;
	}
	choose_parent(&request);
	err = save(&saving, &request, start_ns);
	if (err && request.dirty)
		dirty__abort(request.dirty);
	if (!err && !self.settings.fork)
		note_success(&self.pending);
	save__close(&saving);
}

static void lead(struct stopped_thread *leader)
{
	uint64_t start_ns = now_ns();
	pid_t tid = 0;
	int err;

	registrations__open_keys();
	settings__set_pid(&self.settings, getpid());
	if (child_is_busy()) {
		message__text(&self.settings, "the one before is still being written", 0);
		stop_threads__release();
		return;
	}
	err = stop_threads__gather(self.settings.signal, leader, &tid);
	if (err == -ETIMEDOUT)
		message__absent_thread(&self.settings, tid);
	else if (err == -EFBIG)
		message__many_threads(&self.settings);
	else if (err)
		message__text(&self.settings, "cannot list the threads", err);
	else
		take_image(leader, start_ns);
	stop_threads__release();
	message__pause(&self.settings, now_ns() - start_ns);
}

/* ---- brought back ---- */

/* All threads are out of restart's own memory when they meet here. */
static void come_back(const struct stopped_thread *thread, int leads)
{
	stop_threads__meet_again(thread);
	if (!leads)
		return;
	for (unsigned int i = 0; i < 4; i += 2) {
		uint64_t start = restarted.leftovers[i], end = restarted.leftovers[i + 1];

		if (start < end)
			(void)munmap((void *)start, end - start); /* NOLINT: an address */
	}
	restarted.restarted = 0;
	stop_threads__own();
	ldso_locks__renumber(&self.locks, thread);
	self.child = 0;
	history__come_back(&self.history);
	dirty__forget(&self.dirty);
	start_timer();
	stop_threads__release();
}

/* ---- the handler ---- */

/* Of stack: more than each takes. */
enum { LEADER_BYTES = 20 << 10, MEMBER_BYTES = 4 << 10 };

/*
 * The thread goes on from getcontext twice if the image is brought back. What this function needs
 * then is in its arguments, which do not change in between. The FS register, on which errno and
 * all that is thread-local depend, is written down before and set again after: by restart in a
 * thread that it makes, which has none yet when it comes here.
 */
__attribute__((noinline)) static void visit(struct stopped_thread *thread, int leads)
{
	capture__thread(thread);
	(void)getcontext(&thread->resume);
	if (restarted.restarted) {
		come_back(thread, leads);
		return;
	}
	if (leads)
		lead(thread);
	else
		stop_threads__join(thread);
	(void)syscall(SYS_arch_prctl, REGISTRATIONS_SET_FS, thread->thread.fs_base);
}

/* Its frame is large: not that of on_signal, which looks first whether there is room. */
__attribute__((noinline)) static void take_part(enum stop_role role, ucontext_t *context)
{
	struct stopped_thread thread;

	memset(&thread, 0, sizeof(thread));
	thread.interrupted = context;
	visit(&thread, role == STOP_LEADER);
}

/* The signal may have interrupted a handler of the program that has a small stack of its own. */
static int has_room(uintptr_t bytes)
{
	const uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	stack_t stack = {0};

	return syscall(SYS_sigaltstack, NULL, &stack) < 0 || !(stack.ss_flags & SS_ONSTACK) ||
	       here - (uintptr_t)stack.ss_sp >= bytes;
}

/* stderr_line.h takes a page of stack. */
static void refuse_on_small_stack(void)
{
	static const char text[] = "libckpt: no image: a handler of the program runs on too small "
				   "a stack of its own; the program goes on\n";

	(void)syscall(SYS_write, STDERR_FILENO, text, sizeof(text) - 1);
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
		rearm_timer();
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
