/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The clocks that count from the start of the machine, CLOCK_MONOTONIC and CLOCK_BOOTTIME. A
 * process has moments of them in its memory: when a wait ends, when something began. After a reboot
 * the clocks are behind, and the process would wait for such a moment as long as the machine had
 * run. In a time namespace they go on from where they were.
 * Source: time_namespaces(7).
 */
#ifndef RESTART_CLOCKS_H
#define RESTART_CLOCKS_H

#include "image/image.h"

/* Why the process gets no clocks of its own. */
enum clocks_reason {
	CLOCKS_NEED_RIGHTS,   /* CAP_SYS_ADMIN, or CAP_SYS_TIME */
	CLOCKS_NOT_SUPPORTED, /* a kernel without time namespaces, or no /proc */
	CLOCKS_OUT_OF_RANGE,  /* the kernel takes such a clock for impossible */
	CLOCKS_UNKNOWN,       /* a kernel that shows them in another form */
	CLOCKS_FAILED,        /* another call failed */
};

struct clocks_failure {
	enum clocks_reason reason;
	int err; /* -errno of the call */
};

/*
 * Makes sure that no clock of the caller is behind that of the process of an image. If one is,
 * moves the caller to a time namespace of its own. The caller must have one thread. If none is,
 * time has passed for the process as if it had been stopped.
 * process: that of the image; any numbers are harmless.
 * *ret_behind_ns: how far the clocks were behind, the larger of the two; 0: not at all. Always set.
 * Returns 0; or -errno and *ret_failure. On failure the clocks are as they were.
 */
int clocks__carry_on(const struct image_process *process, uint64_t *ret_behind_ns,
		     struct clocks_failure *ret_failure);

/* In words, and what can be done. */
const char *clocks__reason_text(enum clocks_reason reason);

#endif
