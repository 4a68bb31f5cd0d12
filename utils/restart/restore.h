/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Becoming the process of an image. From here on nothing of restart exists but its own program and
 * the plan.
 */
#ifndef RESTART_RESTORE_H
#define RESTART_RESTORE_H

#include "restart/plan.h"

/* Carries the plan out. Never returns: it goes on as that process, or says why not on stderr and
 * exits with 125. */
__attribute__((noreturn)) void restore__run(struct plan *plan);

#endif
