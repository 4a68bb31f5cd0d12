/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The threads of a process from one stop to the next. /proc is read for a thread once. From then on
 * a descriptor of it (PIDFD_THREAD, Linux 6.9) tells when it has ended, and one call asks all of
 * them. A thread that has no such descriptor is read at each stop.
 */
#ifndef TRACER_TARGET_THREAD_WATCH_H
#define TRACER_TARGET_THREAD_WATCH_H

#include <sys/types.h>
#include "target/freeze.h"
#include "target/threads.h"

struct thread_watch;

/* For process pid. Returns 0 and *ret_watch, -ENOMEM or another -errno. */
int thread_watch__create(pid_t pid, struct thread_watch **ret_watch);

/* Makes the list of threads__read() for a process all of whose threads stand still in freeze.
 * Returns 0, -ESRCH or another -errno (*ret_threads is untouched). */
int thread_watch__list(struct thread_watch *watch, const struct freeze *freeze,
		       struct threads *ret_threads);

/* thread_watch__free(NULL) is harmless. */
void thread_watch__free(struct thread_watch *watch);

#endif
