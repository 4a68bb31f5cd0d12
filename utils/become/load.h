/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reading the contents of a process from its image to their addresses, on all processors. The
 * helpers are processes that share this memory, not threads. When they have been waited for, their
 * numbers are free again for the threads of the process.
 */
#ifndef BECOME_LOAD_H
#define BECOME_LOAD_H

#include "become/plan.h"

enum {
	LOAD_HELPERS = 7,             /* beside the caller */
	LOAD_STACK_BYTES = 16 << 10,  /* of each helper */
	LOAD_HELPER_BYTES = 16 << 20, /* to read for each helper */
};

/* Why the contents are not there. */
enum load_reason {
	LOAD_UNREADABLE,
	LOAD_CUT_OFF,
	LOAD_DAMAGED,
	LOAD_HELPER_KILLED,
};

struct load_failure {
	enum load_reason reason;
	int err; /* of LOAD_UNREADABLE: -errno; else 0 */
	int fd;  /* the file that it is about */
};

/*
 * Reads all pieces and verifies the checksums that they have. The memory that they go to is mapped
 * and may be written to, all signals are blocked. Calls nothing of the C library that has a state.
 * Returns whether it failed, and then why in *ret_failure; the memory is not defined in that case.
 */
bool load__pieces(const struct plan *plan, struct load_failure *ret_failure);

/* In words, and what can be done: "damaged: ...". */
const char *load__reason_text(enum load_reason reason);

#endif
