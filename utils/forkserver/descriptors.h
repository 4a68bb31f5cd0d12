/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The descriptors of the child at its checkpoint. A run may close them or put other files in their
 * place; after fork(2) the next run would have them all the same. So each has a copy, at a high
 * number. What a run opens is closed by the rollback (ROLLBACK_CLOSE_NEW).
 */
#ifndef FORKSERVER_DESCRIPTORS_H
#define FORKSERVER_DESCRIPTORS_H

#include <stdbool.h>

enum { DESCRIPTORS_MAX = 64 };

struct descriptors {
	unsigned int count;
	struct {
		int number, copy;
		bool is_closed_on_exec;
	} all[DESCRIPTORS_MAX];
};

/* Copies all descriptors below the high numbers. Returns 0, -EMFILE if there are too many, or
 * another -errno; then some copies may be left open. */
int descriptors__keep(struct descriptors *descriptors);

/* The copy of this descriptor; -1 if there is none. */
int descriptors__copy(const struct descriptors *descriptors, int number);

/* Puts them back. Returns 0, or -errno if a copy is gone. */
int descriptors__put_back(const struct descriptors *descriptors);

#endif
