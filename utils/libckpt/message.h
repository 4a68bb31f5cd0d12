/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What libckpt says on standard error about one image, a line each. settings: its path is named.
 * Lines about a request that failed end with "the program goes on". Usable inside a signal handler.
 */
#ifndef LIBCKPT_MESSAGE_H
#define LIBCKPT_MESSAGE_H

#include <stdint.h>
#include <sys/types.h>

#include "libckpt/save.h"
#include "libckpt/settings.h"

/* A function of save.h has returned err. */
void message__failure(const struct settings *settings, const struct saving *saving, int err);

/* The image is written. */
void message__success(const struct settings *settings, const struct saving *saving,
		      uint64_t took_ns);

/* How long the program stood still; nothing without CKPT_VERBOSE. */
void message__pause(const struct settings *settings, uint64_t paused_ns);

/* Says why not all threads have stopped: stop_threads__gather has returned err and tid. */
void message__not_stopped(const struct settings *settings, int err, pid_t tid);

/* That signal has ended the child of CKPT_FORK that wrote the image before. */
void message__killed_child(const struct settings *settings, int signal);

/* CKPT_RESTART_SIGNAL names that signal, which would end the program. */
void message__unhandled_signal(int signal);

/* timers__start_again has returned err. */
void message__lost_timers(int err);

/* Any other reason; err: its -errno, or 0. */
void message__text(const struct settings *settings, const char *text, int err);

#endif
