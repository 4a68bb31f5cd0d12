/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A tracer takes a moment to listen. tracer ctl waits for one that has just been started.
 */
#ifndef TRACER_CTL_STARTING_H
#define TRACER_CTL_STARTING_H

#include <stdbool.h>
#include <sys/types.h>

/* Is there another tracer for process pid: one that was started with -p PID, or the parent of that
 * process? Such a tracer listens, or it will as soon as it is ready. */
bool starting__is(pid_t pid);

#endif
