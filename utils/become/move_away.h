/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Moving out of the way: restart leaves the addresses that the process needs. The Makefile links
 * restart at 64 KiB, below other programs (and restart-high for those that are there, elsewhere.h),
 * and make_plan.c puts the plan where the image has nothing. All else is unmapped here, and vvar
 * and vdso wait in a shelter. Whatever fails ends the program, see die.h.
 */
#ifndef BECOME_MOVE_AWAY_H
#define BECOME_MOVE_AWAY_H

#include "become/plan.h"

/* Unmaps everything but the program, the plan, and vvar and vdso, which go to their shelter. Called
 * with a stack in the plan. */
void move_away__unmap_restart(const struct plan *plan);

/* Moves vvar and vdso from the shelter to where the process had them. */
void move_away__give_back_vdso(const struct plan *plan);

#endif
