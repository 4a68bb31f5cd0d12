/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The signal handler of libckpt. It interrupts a thread anywhere, in the middle of malloc for
 * example: only system calls, memory functions, and zlib with memory of our own are used.
 */
#ifndef LIBCKPT_HANDLER_H
#define LIBCKPT_HANDLER_H

#include <signal.h>

#include "libckpt/ldso_locks.h"
#include "libckpt/settings.h"

/* Tells the handler what it needs, both copied, before the signal can come. */
void handler__prepare(const struct settings *settings, const struct ldso_locks *locks);

/* For sigaction(2), with SA_SIGINFO and all signals blocked. */
void handler__on_signal(int signal, siginfo_t *info, void *context);

/* Starts the timer for CKPT_INTERVAL, if that is set, once the signal is handled. */
void handler__start_timer(void);

#endif
