/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The contents of a process, from its image to their addresses, on all processors: a page is taken
 * from the kernel, copied and verified, and no page needs another one.
 * The helpers are processes that share this memory, not threads: when they have been waited for,
 * their numbers are free again for the threads of the process.
 */
#ifndef RESTART_LOAD_H
#define RESTART_LOAD_H

#include "restart/plan.h"

enum {
	LOAD_HELPERS = 7,             /* beside the caller */
	LOAD_STACK_BYTES = 16 << 10,  /* of each helper */
	LOAD_HELPER_BYTES = 16 << 20, /* to read are worth one helper more */
};

/*
 * Reads all pieces and verifies the checksums that they have. The memory that they go to is mapped
 * and may be written to, all signals are blocked. Calls nothing of the C library that has a state.
 * Returns 0; or -errno, and in *ret_fd which of the files it is about; then the memory is not
 * defined: -EBADMSG when a checksum is wrong, -ENODATA when the file is too short, -EINTR when a
 * helper was killed, or what read(2) said.
 */
int load__pieces(const struct plan *plan, int *ret_fd);

#endif
