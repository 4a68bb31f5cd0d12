/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Working out beforehand what is left to do once restart's own memory is gone, see become/plan.h.
 */
#ifndef RESTART_MAKE_PLAN_H
#define RESTART_MAKE_PLAN_H

#include "become/plan.h"

/*
 * Makes a plan for memory, threads and signals; files, limits and messages_fd are the caller's to
 * set.
 * chain: the images, open, with all their files at first_fd or above. What the plan does not verify
 * has been verified when this returns.
 * accept_changes: shared memory may be of a file that was replaced (--changed-files).
 * message: IMAGE_MESSAGE_BYTES; says why it failed: the image cannot run (no registers), it needs
 * the addresses of restart, the kernel or the processor is another, it is damaged.
 * Returns 0 and *ret, which is never freed, for it outlives the program; or -errno.
 */
int make_plan__of(const struct image_chain *chain, int first_fd, bool accept_changes,
		  struct plan **ret, char *message);

#endif
