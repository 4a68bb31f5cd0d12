/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Faults on demand, for tests: TRACER_FAULT=POINT:ACTION makes the tracer fail the first time that
 * it passes POINT (docs/testing.md lists the points). Without it nothing happens.
 */
#ifndef TRACER_TARGET_FAULT_INJECTION_H
#define TRACER_TARGET_FAULT_INJECTION_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Passes a point and does what TRACER_FAULT asks for there.
 * point: its name. target: the traced process, for the action kill-target.
 * Actions: die (SIGKILL to the tracer itself), kill-target (SIGKILL, then waits for its end), fail.
 * Returns 0, or -EIO for the action fail.
 */
int fault_injection__pass(const char *point, pid_t target);

/* Does TRACER_FAULT ask for this action at this point? True once. For an action that only the
 * caller can do: damage, at the point saved. */
bool fault_injection__strikes(const char *point, const char *action);

#endif
