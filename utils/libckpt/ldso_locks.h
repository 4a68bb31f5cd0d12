/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The locks of the dynamic loader. Each holds the number (TID) of the thread that has it. A process
 * that was brought back has new numbers: no thread could release these locks.
 */
#ifndef LIBCKPT_LDSO_LOCKS_H
#define LIBCKPT_LDSO_LOCKS_H

#include <stddef.h>

#include "capture/capture_threads.h"

/* Where they are, as preload/ldso.h finds it. */
struct ldso_locks {
	unsigned char *start; /* of the loader's data; NULL: not known */
	size_t bytes;
};

/* In a process that was brought back, while all threads stand still: gives the locks that these
 * threads hold their new numbers. */
void ldso_locks__renumber(const struct ldso_locks *locks, const struct stopped_thread *threads);

#endif
