/* SPDX-License-Identifier: BSD-2-Clause
 *
 * slabsim for a person at a terminal: a menu on stdin and stdout.
 */
#ifndef SLABSIM_MENU_H
#define SLABSIM_MENU_H

#include "simulation.h"

/* Asks and does, until the user wants to leave or stdin ends. seed is that of the first run; each
 * further one takes the next. 0, or -errno when stdin cannot be read. */
int menu__run(struct simulation *simulation, uint64_t seed);

#endif
