/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What libckpt says on standard error about one image. For signal handlers. All that
 * are about a failure end with "the program goes on". settings: whose path is named, as
 * it was when the image was begun.
 */
#ifndef LIBCKPT_MESSAGE_H
#define LIBCKPT_MESSAGE_H

#include <stdint.h>
#include <sys/types.h>

#include "libckpt/save.h"
#include "libckpt/settings.h"

/* save__plan or save__write has returned err. */
void message__failure(const struct settings *settings, const struct saving *saving, int err);

/* CKPT_VERBOSE: the image is written. */
void message__success(const struct settings *settings, const struct saving *saving,
		      uint64_t took_ns);

/* Nothing without CKPT_VERBOSE. */
void message__pause(const struct settings *settings, uint64_t paused_ns);

/* stop_threads__gather has waited in vain for that thread. */
void message__absent_thread(const struct settings *settings, pid_t tid);

/* There are more than STOP_THREADS_MAX. */
void message__many_threads(const struct settings *settings);

/* The child of CKPT_FORK that wrote the image before. */
void message__killed_child(const struct settings *settings, int signal);

/* Any other reason; err: its -errno, or 0. */
void message__text(const struct settings *settings, const char *text, int err);

#endif
