/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The descriptors of the child at its checkpoint. A run may close them or put other files in their
 * place; after fork(2) the next run would have them all the same. So each has a copy, at a high
 * number. What a run opens is closed.
 */
#ifndef FORKSERVER_DESCRIPTORS_H
#define FORKSERVER_DESCRIPTORS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	DESCRIPTORS_MAX = 64,
	DESCRIPTORS_END = 1024, /* more than any number that is open at the checkpoint */
};

struct descriptors {
	int listing;  /* /proc/self/fd, whose size is the number of its entries (Linux 6.2) */
	off_t listed; /* at the checkpoint; 0 before 6.2 */
	uint64_t known[DESCRIPTORS_END / 64]; /* a bit for each that is open at the checkpoint */
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

/* From now on, others that are open are kept open, too. */
void descriptors__know(struct descriptors *descriptors);

/* Puts the copied ones back, and closes those that are not known. Returns 0, or -errno if a copy is
 * gone. */
int descriptors__put_back(const struct descriptors *descriptors);

#endif
