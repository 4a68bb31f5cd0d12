/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The memory of the process, made again where move_away.h has left room. Whatever fails ends the
 * program, see die.h.
 */
#ifndef BECOME_MEMORY_H
#define BECOME_MEMORY_H

#include "become/plan.h"

/* Maps, loads and verifies what the process had, and moves vvar and vdso to where they were. */
void memory__make(const struct plan *plan);

#endif
