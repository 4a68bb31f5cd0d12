/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Faults on demand, for the tests: TRACER_FAULT=POINT:ACTION makes the tracer misbehave the first
 * time it passes POINT (docs/testing.md lists them). Without it nothing happens.
 */
#ifndef TRACER_TARGET_FAULT_H
#define TRACER_TARGET_FAULT_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Passes a point.
 * point: its name. target: the traced process, for the action kill-target.
 * Actions: die (SIGKILL to the tracer itself), kill-target (SIGKILL, and its end is waited for),
 * fail. Returns 0, or -EIO for the action fail.
 */
int fault__pass(const char *point, pid_t target);

/* Is the action wanted at the point? True once; for what only the caller can
 * do: damage, at the point saved. */
bool fault__strikes(const char *point, const char *action);

#endif
