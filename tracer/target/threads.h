/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The threads of a process as a list that is compared with a later one. A thread is the same if it
 * has the same id and began at the same time. Threads that run no code of the program are left out:
 * threads that are ending, for which pthread_join(3) does not wait, and workers of the kernel
 * (io_uring).
 */
#ifndef TRACER_TARGET_THREADS_H
#define TRACER_TARGET_THREADS_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* PIDFD_THREAD of Linux 6.9, for pidfd_open(2) */
enum { THREADS_PIDFD = O_EXCL };

struct thread {
	pid_t tid;
	uint64_t start; /* clock ticks since boot; 0 for the first thread, which nothing replaces */
	char name[16];
};

struct threads { /* zero-initialised: empty */
	struct thread *items;
	size_t count;
};

/* The list of process pid with its first thread alone. 0 or -ENOMEM (untouched). */
int threads__alone(pid_t pid, struct threads *ret_threads);

/* Reads the list of process pid, whose threads stand still. 0, -ESRCH or another -errno
 * (untouched). threads__clear() frees it. */
int threads__read(pid_t pid, struct threads *ret_threads);

/* Reads one thread. *ret_counts: it runs code of the program. 0, -ESRCH or another -errno (both are
 * untouched). */
int threads__read_one(pid_t pid, pid_t tid, struct thread *ret_thread, bool *ret_counts);

/* Is the thread in the list? */
bool threads__have(const struct threads *threads, const struct thread *thread);

/* Is it the same list? If not, text (of that size) names threads that have started and ended. */
bool threads__are_same(const struct threads *before, const struct threads *now, char *text,
		       size_t size);

/* Frees what it holds and empties it; harmless on an empty one. */
void threads__clear(struct threads *threads);

#endif
