/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See message.h. One line each, by stderr_line.h.
 */
#include "libckpt/message.h"

#include <errno.h>
#include <string.h>

#include "libckpt/stop_threads.h"
#include "libckpt/stderr_line.h"

void message__failure(const struct settings *settings, const struct saving *saving, int err)
{
	const char *reason = strerrordesc_np(-err);
	struct stderr_line say;

	stderr_line__begin(&say);
	if (!saving->step_names_path) {
		stderr_line__text(&say, "cannot write ");
		stderr_line__text(&say, settings->path);
		stderr_line__text(&say, ": ");
	}
	stderr_line__text(&say, saving->step);
	if (saving->step_names_path) {
		stderr_line__text(&say, " ");
		stderr_line__text(&say, settings->path);
	}
	stderr_line__text(&say, ": ");
	if (saving->step_names_path && err == -EEXIST)
		reason = "there is something of that name that is no plain file";
	else if (saving->step_names_path && err == -EACCES)
		reason = "permission denied, or the file that is there is read-only";
	if (!saving->step_names_path && err == -EFBIG) {
		stderr_line__text(&say, "there are more segments than ");
		stderr_line__number(&say, IMAGE_SEGMENTS_MAX);
	} else {
		stderr_line__text(&say, reason ? reason : "unknown error");
	}
	stderr_line__text(&say, "; the program goes on");
	stderr_line__end(&say);
}

void message__success(const struct settings *settings, const struct saving *saving,
		      uint64_t took_ns)
{
	struct stderr_line say;

	stderr_line__begin(&say);
	stderr_line__text(&say, settings->path);
	stderr_line__text(&say, ": ");
	stderr_line__number(&say, saving->content.written_bytes);
	stderr_line__text(&say, saving->order->parent ? " bytes that have changed, of "
					      : " bytes of memory, of ");
	stderr_line__number(&say, saving->image->mapping_count);
	stderr_line__text(&say, " mappings, threads: ");
	stderr_line__number(&say, stop_threads__count());
	stderr_line__text(&say, ", written in ");
	stderr_line__number(&say, took_ns / 1000);
	stderr_line__text(&say, " us");
	stderr_line__end(&say);
}

void message__pause(const struct settings *settings, uint64_t paused_ns)
{
	struct stderr_line say;

	if (!settings->verbose)
		return;
	stderr_line__begin(&say);
	stderr_line__text(&say, "the program stood still for ");
	stderr_line__number(&say, paused_ns / 1000);
	stderr_line__text(&say, " us");
	stderr_line__end(&say);
}

void message__absent_thread(const struct settings *settings, pid_t tid)
{
	struct stderr_line say;

	stderr_line__begin(&say);
	stderr_line__text(&say, "cannot write ");
	stderr_line__text(&say, settings->path);
	stderr_line__text(&say, ": thread ");
	stderr_line__number(&say, (uint64_t)tid);
	stderr_line__text(&say,
		  " did not come within 5 seconds: it has ended alone, a handler of it runs on "
		  "too small a stack of its own, or it blocks signal ");
	stderr_line__number(&say, (uint64_t)settings->signal);
	stderr_line__text(&say, " (choose another one with CKPT_SIGNAL); the program goes on");
	stderr_line__end(&say);
}

void message__many_threads(const struct settings *settings)
{
	struct stderr_line say;

	stderr_line__begin(&say);
	stderr_line__text(&say, "cannot write ");
	stderr_line__text(&say, settings->path);
	stderr_line__text(&say, ": there are more threads than ");
	stderr_line__number(&say, CROWD_THREADS_MAX);
	stderr_line__text(&say, "; the program goes on");
	stderr_line__end(&say);
}

void message__killed_child(const struct settings *settings, int signal)
{
	struct stderr_line say;

	stderr_line__begin(&say);
	stderr_line__text(&say, "the image before this one is not in ");
	stderr_line__text(&say, settings->path);
	stderr_line__text(&say, ": signal ");
	stderr_line__number(&say, (uint64_t)signal);
	stderr_line__text(&say, " has ended the child that wrote it");
	stderr_line__end(&say);
}

void message__text(const struct settings *settings, const char *text, int err)
{
	struct stderr_line say;

	stderr_line__begin(&say);
	stderr_line__text(&say, "cannot write ");
	stderr_line__text(&say, settings->path);
	stderr_line__text(&say, ": ");
	stderr_line__text(&say, text);
	if (err) {
		stderr_line__text(&say, ": ");
		stderr_line__text(&say, strerrordesc_np(-err));
	}
	stderr_line__text(&say, "; the program goes on");
	stderr_line__end(&say);
}
