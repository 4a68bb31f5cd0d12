/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The signal handler of libckpt. It interrupts a thread anywhere, in the middle of malloc for
 * example. So it uses only system calls, memory functions, and zlib with memory of our own.
 */
#ifndef LIBCKPT_HANDLER_H
#define LIBCKPT_HANDLER_H

#include <signal.h>
#include <stdbool.h>

#include "libckpt/ldso_locks.h"
#include "libckpt/settings.h"

/* Tells the handler what it needs, both copied, before the signal can come. */
void handler__prepare(const struct settings *settings, const struct ldso_locks *locks);

/* For sigaction(2), with SA_SIGINFO and all signals blocked. */
void handler__on_signal(int signal, siginfo_t *info, void *context);

/* Starts the timer for CKPT_INTERVAL, if that is set, once the signal is handled. */
void handler__start_timer(void);

/* In a child of fork(3), which has the memory of its parent and no timer. */
void handler__start_in_child(void);

/* hold: the program has the signal for itself, so no timer may send it. Else it has given it
 * back. */
void handler__hold_timer(bool hold);

/* From now on the handler does nothing, not even a system call: the next one may end the program,
 * see seccomp(2). */
void handler__lock_in(void);

/* Ends write tracking by userfaultfd(2) in the calling process, until the next image. A call of the
 * program may have failed only because its memory is watched. Returns whether that changes
 * anything. */
bool handler__stop_watching(void);

/* Has the memory ever been watched? Its mappings may then be apart for ever. */
bool handler__has_watched(void);

#endif
