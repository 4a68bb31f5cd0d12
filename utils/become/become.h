/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Becoming the process of an image. This folder has the code that runs when only the program of
 * restart and the plan are left: no heap, no state of the C library. allowed-symbols is its rule.
 */
#ifndef BECOME_BECOME_H
#define BECOME_BECOME_H

#include "become/plan.h"

/* Carries the plan out. Never returns: it goes on as that process, or says why not and exits with
 * 125. */
__attribute__((noreturn)) void become__process(struct plan *plan);

#endif
