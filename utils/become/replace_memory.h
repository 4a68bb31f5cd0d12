/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Replacing the memory of restart by that of the process. Whatever fails ends the program, see
 * die.h.
 */
#ifndef BECOME_REPLACE_MEMORY_H
#define BECOME_REPLACE_MEMORY_H

#include "become/plan.h"

/* Unmaps everything but the program, the plan, and vvar and vdso, which go to their shelter. Called
 * with a stack in the plan. */
void replace_memory__leave(const struct plan *plan);

/* Maps, loads and verifies what the process had, and moves vvar and vdso to where they were. */
void replace_memory__make(const struct plan *plan);

#endif
