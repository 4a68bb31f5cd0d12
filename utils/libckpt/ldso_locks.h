/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The locks of the dynamic locks. They hold the number (TID) of the thread that has them, which is
 * another one in a process that was brought back: that thread could never release them.
 */
#ifndef LIBCKPT_LDSO_LOCKS_H
#define LIBCKPT_LDSO_LOCKS_H

#include <stddef.h>

#include "libckpt/capture.h"

struct ldso_locks {
	unsigned char *start; /* of the locks's data; NULL: not known */
	size_t bytes;
};

/* Finds the locks's data. Once, outside of any signal handler. A program without a locks, or with
 * one that does not name its data as glibc does, has none. */
void ldso_locks__find(struct ldso_locks *locks);

/* In a process that was brought back, while all threads stand still: the locks that these threads
 * had get their new numbers. */
void ldso_locks__renumber(const struct ldso_locks *locks, const struct stopped_thread *threads);

#endif
