/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vvar and vdso: code and data that the kernel maps into each process. The process in the image has
 * addresses of that code in its memory, so the same code must come to the same addresses.
 */
#ifndef RESTART_VDSO_H
#define RESTART_VDSO_H

#include "restart/plan.h"

/*
 * Fills in plan->moves: where the parts of this process are, and where those of the image were.
 * Returns 0 (also if the image has none); -EPROTONOSUPPORT with a message if they are not the same
 * code; -ENOMEM; or the -errno of reading.
 */
int vdso__plan(const struct image_chain *chain, struct plan *plan, char *message);

#endif
