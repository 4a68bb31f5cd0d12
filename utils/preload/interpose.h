/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Calls of the C library that libckpt answers in the program's place, so that the two do not get
 * into each other's way. Some take our signal away or block it. Some fail only because the memory
 * is watched. After some, system calls of ours would end the program.
 */
#ifndef PRELOAD_INTERPOSE_H
#define PRELOAD_INTERPOSE_H

#include <signal.h>

/* The signal is ours from now on. action: how it is handled. */
void interpose__begin(int number, const struct sigaction *action);

#endif
