/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See message.h. One line each, by say.h.
 */
#include "ckpt/message.h"

#include <errno.h>
#include <string.h>

#include "ckpt/crowd.h"
#include "ckpt/say.h"

void message__failure(const struct settings *settings, const struct saving *saving, int err)
{
	const char *reason = strerrordesc_np(-err);
	struct say say;

	say__begin(&say);
	if (!saving->step_names_path) {
		say__text(&say, "cannot write ");
		say__text(&say, settings->path);
		say__text(&say, ": ");
	}
	say__text(&say, saving->step);
	if (saving->step_names_path) {
		say__text(&say, " ");
		say__text(&say, settings->path);
	}
	say__text(&say, ": ");
	if (saving->step_names_path && err == -EEXIST)
		reason = "there is something of that name that is no plain file";
	else if (saving->step_names_path && err == -EACCES)
		reason = "permission denied, or the file that is there is read-only";
	if (!saving->step_names_path && err == -EFBIG) {
		say__text(&say, "there are more segments than ");
		say__number(&say, IMAGE_SEGMENTS_MAX);
	} else {
		say__text(&say, reason ? reason : "unknown error");
	}
	say__text(&say, "; the program goes on");
	say__end(&say);
}

void message__success(const struct settings *settings, const struct saving *saving,
		      uint64_t took_ns)
{
	struct say say;

	say__begin(&say);
	say__text(&say, settings->path);
	say__text(&say, ": ");
	say__number(&say, saving->content.written_bytes);
	say__text(&say, saving->order->parent ? " bytes that have changed, of "
					      : " bytes of memory, of ");
	say__number(&say, saving->image->mapping_count);
	say__text(&say, " mappings, threads: ");
	say__number(&say, crowd__count());
	say__text(&say, ", written in ");
	say__number(&say, took_ns / 1000);
	say__text(&say, " us");
	say__end(&say);
}

void message__pause(const struct settings *settings, uint64_t paused_ns)
{
	struct say say;

	if (!settings->verbose)
		return;
	say__begin(&say);
	say__text(&say, "the program stood still for ");
	say__number(&say, paused_ns / 1000);
	say__text(&say, " us");
	say__end(&say);
}

void message__absent_thread(const struct settings *settings, pid_t tid)
{
	struct say say;

	say__begin(&say);
	say__text(&say, "cannot write ");
	say__text(&say, settings->path);
	say__text(&say, ": thread ");
	say__number(&say, (uint64_t)tid);
	say__text(&say,
		  " did not come within 5 seconds: it has ended alone, a handler of it runs on "
		  "too small a stack of its own, or it blocks signal ");
	say__number(&say, (uint64_t)settings->signal);
	say__text(&say, " (choose another one with CKPT_SIGNAL); the program goes on");
	say__end(&say);
}

void message__many_threads(const struct settings *settings)
{
	struct say say;

	say__begin(&say);
	say__text(&say, "cannot write ");
	say__text(&say, settings->path);
	say__text(&say, ": there are more threads than ");
	say__number(&say, CROWD_THREADS_MAX);
	say__text(&say, "; the program goes on");
	say__end(&say);
}

void message__killed_child(const struct settings *settings, int signal)
{
	struct say say;

	say__begin(&say);
	say__text(&say, "the image before this one is not in ");
	say__text(&say, settings->path);
	say__text(&say, ": signal ");
	say__number(&say, (uint64_t)signal);
	say__text(&say, " has ended the child that wrote it");
	say__end(&say);
}

void message__text(const struct settings *settings, const char *text, int err)
{
	struct say say;

	say__begin(&say);
	say__text(&say, "cannot write ");
	say__text(&say, settings->path);
	say__text(&say, ": ");
	say__text(&say, text);
	if (err) {
		say__text(&say, ": ");
		say__text(&say, strerrordesc_np(-err));
	}
	say__text(&say, "; the program goes on");
	say__end(&say);
}
