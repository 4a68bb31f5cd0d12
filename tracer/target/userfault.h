/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Programs that serve their own page faults with userfaultfd(2). The tracer must not touch such
 * memory while it holds the program's threads: it would wait for a handler that stands still.
 */
#ifndef TRACER_TARGET_USERFAULT_H
#define TRACER_TARGET_USERFAULT_H

#include <sys/types.h>
#include "base/intervals.h"

/* Has the process a userfaultfd open? 1 or 0, or -errno. */
int userfault__is_open(pid_t pid);

/* Returns 0 if none of ranges is registered with a userfaultfd of the process, -REASON_USERFAULT
 * (reason.h) if some are, -ESRCH or another -errno. */
int userfault__check(pid_t pid, const struct intervals *ranges);

#endif
