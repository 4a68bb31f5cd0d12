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

/* Tells prctl(2) for the calling thread or the process. Returns false if the kernel refuses it. */
bool threads__set_setting(const struct image_setting *setting);

/* Tells prctl(2) all that a thread had told it. tid: as in the image; 0: what holds for the whole
 * process. */
void threads__set_settings(const struct plan *plan, int32_t tid);

/* The caller becomes the thread with that index, at its resume point. */
__attribute__((noreturn)) void threads__become(const struct plan *plan, size_t index);

#endif
