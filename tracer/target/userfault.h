/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Programs that serve their own page faults with userfaultfd(2). The tracer must not touch such
 * memory while it holds the program's threads: it would wait for a handler that it has stopped.
 */
#ifndef TRACER_TARGET_USERFAULT_H
#define TRACER_TARGET_USERFAULT_H

#include <sys/types.h>
#include "base/intervals.h"

/*
 * Is any of ranges registered with a userfaultfd that the process has open?
 * Returns 0; 1 and fills *ret with the first mapping, in bytes; or -ESRCH, -errno. *ret is
 * untouched unless 1 is returned.
 */
int userfault__find(pid_t pid, const struct intervals *ranges, struct interval *ret);

#endif
