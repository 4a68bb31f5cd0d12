/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See checkpoint.h.
 */
#include "libckpt/checkpoint.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/nocancel.h"
#include "base/raw_syscall.h"
#include "capture/dumpable.h"
#include "libckpt/message.h"
#include "libckpt/save.h"

/* A write beyond RLIMIT_FSIZE makes a signal that would end the program later. It is pending,
 * for all signals are blocked here. */
static void drop_file_size_signal(void)
{
	const struct timespec at_once = {0};
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGXFSZ);
	(void)syscall(SYS_rt_sigtimedwait, &set, NULL, &at_once, sizeof(uint64_t));
}

static void note_success(struct checkpoint *c, const struct settings *settings)
{
	history__add(&c->history, settings->path, &c->pending, settings->keep);
}

/* No increment can add to an image that is not there. */
static void note_failure(struct checkpoint *c)
{
	history__forget(&c->history);
}

/*
 * The child sends no signal when it ends, so the program's own wait(2) never meets it. In a process
 * that was forked since, it is no child: the wait fails, and nothing is known of the image.
 */
bool checkpoint__is_busy(struct checkpoint *c, const struct settings *settings)
{
	int status = 0;
	pid_t ended;

	if (c->child == 0)
		return false;
	ended = nocancel__wait(c->child, &status, WNOHANG | __WALL);
	if (ended == 0)
		return true;
	c->child = 0;
	if (ended > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		note_success(c, settings);
	else
		note_failure(c);
	if (ended > 0 && WIFSIGNALED(status)) { /* it could neither say so nor clean up */
		(void)unlink(c->temporary);
		message__killed_child(settings, WTERMSIG(status));
	}
	return false;
}

/* Says how an image has ended. */
static int report(const struct settings *settings, const struct saving *saving, int err,
		  uint64_t start_ns)
{
	if (err == -EFBIG)
		drop_file_size_signal();
	if (err)
		message__failure(settings, saving, err);
	else if (settings->verbose)
		message__success(settings, saving, clock__now_ns() - start_ns);
	return err;
}

/* The file is identified before it is written: later, another process may have put its own at the
 * path. */
static int open_file(struct checkpoint *c, struct saving *saving)
{
	int err = save__open(saving);

	c->pending = c->history.written;
	c->pending.id = saving->image->info.id;
	c->pending.depth = saving->request->depth;
	return err;
}

static int write_here(struct checkpoint *c, const struct settings *settings, struct saving *saving,
		      uint64_t start_ns)
{
	int err = open_file(c, saving);

	return report(settings, saving, err ? err : save__write(saving), start_ns);
}

static int work_of_child(struct saving *saving, bool pages_chosen)
{
	int err = save__reopen(saving);

	dumpable__end();
	if (err)
		goto out;
	if (!pages_chosen)
		err = save__choose_pages(saving);
	if (err)
		goto out;
	err = save__write(saving);
out:
	save__abort(saving);
	return err;
}

/* A child has the private memory of this moment, as copy-on-write, and one thread. */
static int write_in_child(struct checkpoint *c, const struct settings *settings,
			  struct saving *saving, bool pages_chosen, uint64_t start_ns)
{
	int err = save__copy_shared(saving);
	long child;

	if (err)
		return report(settings, saving, err, start_ns);
	err = open_file(c, saving);
	if (err)
		return report(settings, saving, err, start_ns);
	child = raw_syscall__call(SYS_clone, 0, 0, 0, 0);
	if (child < 0) {
		err = (int)child;
		message__text(settings, "cannot fork", err);
		save__abort(saving);
		return err;
	}
	if (child == 0) {
		err = work_of_child(saving, pages_chosen);
		_exit(report(settings, saving, err, start_ns) ? 1 : 0);
	}
	memcpy(c->temporary, saving->writer->output.temporary, sizeof(c->temporary));
	save__release(saving);
	c->child = (pid_t)child;
	return 0;
}

/* Decides whether the next image is an increment, and gives the last one a name of its own if it is
 * needed later. */
static void choose_parent(struct checkpoint *c, const struct settings *settings,
			  struct save_request *request)
{
	const struct history_item *newest = history__newest(&c->history);

	if (!settings->incremental && settings->keep == 1)
		return;
	if (settings->incremental)
		dirty__open(&c->dirty);
	if (!newest || history__name(&c->history, settings->path))
		return;
	if (!settings->incremental || newest->depth + 1 == HISTORY_CHAIN)
		return;
	request->parent = c->history.parent;
	request->parent_id = newest->id;
	request->depth = newest->depth + 1;
}

static int describe_with_pages(struct saving *saving, const struct save_request *request)
{
	int err = save__describe(saving, request);

	return err ? err : save__choose_pages(saving);
}

/* Describes an increment if it can be one, or else a full image. */
static int describe_image(struct saving *saving, struct save_request *request)
{
	int err = describe_with_pages(saving, request);

	if (!dirty__is_scattered(err) || !request->parent)
		return err;
	save__close(saving);
	request->parent = NULL;
	request->depth = 0;
	return describe_with_pages(saving, request);
}

/* With CKPT_FORK and no increments, the child finds the pages too. The open files are always
 * described here, for the child has other offsets. */
static int save(struct checkpoint *c, const struct settings *settings, struct saving *saving,
		struct save_request *request, uint64_t start_ns)
{
	const bool choose_pages = !settings->fork || settings->incremental;
	int err = choose_pages ? describe_image(saving, request) : save__describe(saving, request);

	if (err) {
		message__failure(settings, saving, err);
		return err;
	}
	err = settings->fork ? write_in_child(c, settings, saving, choose_pages, start_ns)
			     : write_here(c, settings, saving, start_ns);
	if (!err && request->dirty)
		dirty__commit(request->dirty, &saving->memory, saving->image);
	return err;
}

void checkpoint__take(struct checkpoint *c, const struct settings *settings,
		      const struct checkpoint_context *context, uint64_t start_ns)
{
	struct save_request request = {
		.path = settings->path,
		.threads = context->leader,
		.restart = context->restart,
		.variables = context->variables,
		.history = &c->history,
		.dirty = settings->incremental ? &c->dirty : NULL,
		.missing = capture__missing(context->leader, context->come_again) |
			   (context->lacks_timers ? IMAGE_MISSING_TIMERS : 0),
	};
	struct saving saving;
	int err = history__spare(&c->history, settings->path);

	if (err) {
		message__text(settings,
			      "another image than that of this process is there, and cannot get a "
			      "second name",
			      err);
		return;
	}
	choose_parent(c, settings, &request);
	err = save(c, settings, &saving, &request, start_ns);
	if (err) {
		if (request.dirty)
			dirty__abort(request.dirty);
	} else if (!settings->fork) {
		note_success(c, settings);
	}
	save__close(&saving);
}

void checkpoint__come_back(struct checkpoint *c)
{
	c->child = 0;
	history__come_back(&c->history);
	dirty__forget(&c->dirty);
}
