/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Becoming the threads of the process. They wait for each other in the process itself.
 */
#ifndef BECOME_THREADS_H
#define BECOME_THREADS_H

#include "become/plan.h"

/* Starts all threads but the main one, each with the number that it had if that is free and we are
 * allowed to choose it. Ends the program if the kernel starts no thread. */
void threads__start(const struct plan *plan);

/* Gives the calling thread its priorities. Returns false if it has no rights to have them. */
bool threads__set_priority(const struct image_scheduling *scheduling);

/* The caller becomes the thread with that index, at its resume point. */
__attribute__((noreturn)) void threads__become(const struct plan *plan, size_t index);

#endif
