/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The kernel's notes of the process beside memory, threads and files: folder, umask, personality,
 * limits, groups, oom_score_adj, registrations of membarrier(2), the name of the program file. What
 * the caller has no right to set is missing.
 */
#ifndef RESTART_ATTRIBUTES_H
#define RESTART_ATTRIBUTES_H

#include "become/plan.h"
#include "reopen/missing.h"

/* Sets limits to those of the caller. Returns 0; or -errno, and it has said why. */
int attributes__read_limits(struct plan_limit limits[IMAGE_LIMITS]);

/*
 * Gives the caller what the process had. It has one thread, and its number for good.
 * plan: limits become those of the process; the caller itself gets only the hard ones
 * that are higher. program_fd is set; if it is not -1, no mapping is of restart's own file.
 * missing: what cannot be set is added.
 */
void attributes__set(const struct image *image, struct plan *plan, struct missing *missing);

#endif
