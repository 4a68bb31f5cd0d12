/* SPDX-License-Identifier: BSD-2-Clause
 *
 * slabsim for a person at a terminal: a menu on stdin and stdout.
 */
#ifndef SLABSIM_MENU_H
#define SLABSIM_MENU_H

#include "simulation.h"

/* Runs the menu until the user wants to leave or stdin ends. seed: of the first run; each further
 * run takes the next number. 0, or -errno if stdin cannot be read. */
int menu__run(struct simulation *simulation, uint64_t seed);

#endif
