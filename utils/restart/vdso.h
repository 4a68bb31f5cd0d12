/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vvar and vdso: code and data that the kernel maps into each process. The process in the image has
 * addresses of that code in its memory, so the same code must come to the same addresses.
 */
#ifndef RESTART_VDSO_H
#define RESTART_VDSO_H

#include "become/plan.h"

/*
 * Fills in plan->moves: where the parts of this process are, and where they were in the image.
 * Returns 0, also if the image has none; or -errno with a message, if they are not the same code or
 * cannot be read.
 */
int vdso__plan(const struct image_chain *chain, struct plan *plan, char *message);

#endif
