/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See message.h. One line each, by stderr_line.h.
 */
#include "libckpt/message.h"

#include <errno.h>
#include <string.h>

#include "libckpt/stop_threads.h"
#include "libckpt/stderr_line.h"

static void add_path(struct stderr_line *line, const struct settings *settings)
{
	stderr_line__text(line, "cannot write ");
	stderr_line__text(line, settings->path);
	stderr_line__text(line, ": ");
}

static void add_end(struct stderr_line *line)
{
	stderr_line__text(line, "; the program goes on");
	stderr_line__end(line);
}

void message__failure(const struct settings *settings, const struct saving *saving, int err)
{
	struct stderr_line line;

	stderr_line__begin(&line);
	if (!saving->failure_names_path)
		add_path(&line, settings);
	stderr_line__text(&line, saving->failure.step);
	if (saving->failure_names_path) {
		stderr_line__text(&line, " ");
		stderr_line__text(&line, settings->path);
	}
	stderr_line__text(&line, ": ");
	stderr_line__text(&line, image_failure__reason(&saving->failure, err));
	add_end(&line);
}

void message__success(const struct settings *settings, const struct saving *saving,
		      uint64_t took_ns)
{
	struct stderr_line line;

	stderr_line__begin(&line);
	stderr_line__text(&line, settings->path);
	stderr_line__text(&line, ": ");
	stderr_line__number(&line, saving->written_bytes);
	stderr_line__text(&line, saving->request->parent ? " bytes that have changed, of "
							 : " bytes of memory, of ");
	stderr_line__number(&line, saving->image->mapping_count);
	stderr_line__text(&line, " mappings, threads: ");
	stderr_line__number(&line, stop_threads__count());
	stderr_line__text(&line, ", written in ");
	stderr_line__number(&line, took_ns / 1000);
	stderr_line__text(&line, " us");
	stderr_line__end(&line);
}

void message__pause(const struct settings *settings, uint64_t paused_ns)
{
	struct stderr_line line;

	if (!settings->verbose)
		return;
	stderr_line__begin(&line);
	stderr_line__text(&line, "the program stood still for ");
	stderr_line__number(&line, paused_ns / 1000);
	stderr_line__text(&line, " us");
	stderr_line__end(&line);
}

static void add_absent(struct stderr_line *line, const struct settings *settings, pid_t tid)
{
	stderr_line__text(line, "thread ");
	stderr_line__number(line, (uint64_t)tid);
	stderr_line__text(
		line, " did not come within 5 seconds: it has ended alone, a handler of it runs "
		      "on too small a stack of its own, or it blocks signal ");
	stderr_line__number(line, (uint64_t)settings->signal);
	stderr_line__text(line, " (choose another one with CKPT_SIGNAL)");
}

static void add_deaf(struct stderr_line *line, const struct settings *settings, pid_t tid)
{
	stderr_line__text(line, "thread ");
	stderr_line__number(line, (uint64_t)tid);
	stderr_line__text(line, " blocks signal ");
	stderr_line__number(line, (uint64_t)settings->signal);
	stderr_line__text(line, ", as helpers of the C library do (timers with SIGEV_THREAD, "
				"aio), or it is the main thread and has ended");
}

void message__not_stopped(const struct settings *settings, int err, pid_t tid)
{
	struct stderr_line line;

	stderr_line__begin(&line);
	add_path(&line, settings);
	switch (-err) {
	case STOP_ABSENT:
		add_absent(&line, settings, tid);
		break;
	case STOP_DEAF:
		add_deaf(&line, settings, tid);
		break;
	case STOP_MANY:
		stderr_line__text(&line, "there are more threads than ");
		stderr_line__number(&line, STOP_THREADS_MAX);
		break;
	case ENOENT:
		stderr_line__text(&line, "there is no /proc to list the threads from; mount it "
					 "(mount -t proc proc /proc)");
		break;
	default:
		stderr_line__text(&line, "cannot list the threads: ");
		stderr_line__text(&line, strerrordesc_np(-err));
	}
	add_end(&line);
}

void message__killed_child(const struct settings *settings, int signal)
{
	struct stderr_line line;

	stderr_line__begin(&line);
	stderr_line__text(&line, "the image before this one is not in ");
	stderr_line__text(&line, settings->path);
	stderr_line__text(&line, ": signal ");
	stderr_line__number(&line, (uint64_t)signal);
	stderr_line__text(&line, " has ended the child that wrote it");
	stderr_line__end(&line);
}

void message__unhandled_signal(int signal)
{
	struct stderr_line line;

	stderr_line__begin(&line);
	stderr_line__text(&line, "the program was brought back, and has no handler for signal ");
	stderr_line__number(&line, (uint64_t)signal);
	stderr_line__text(&line, " (CKPT_RESTART_SIGNAL), so it is not sent");
	stderr_line__end(&line);
}

void message__lost_timers(int err)
{
	struct stderr_line line;

	stderr_line__begin(&line);
	stderr_line__text(&line, "the program was brought back without some of its timers: ");
	stderr_line__text(&line, strerrordesc_np(-err));
	stderr_line__end(&line);
}

void message__text(const struct settings *settings, const char *text, int err)
{
	struct stderr_line line;

	stderr_line__begin(&line);
	add_path(&line, settings);
	stderr_line__text(&line, text);
	if (err) {
		stderr_line__text(&line, ": ");
		stderr_line__text(&line, strerrordesc_np(-err));
	}
	add_end(&line);
}
