/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a process keeps until its end, besides its memory and descriptors: limits, rights, its
 * folder, and more. A rollback does not put it back. So a run that changes it is the last one of
 * its process.
 */
#ifndef FORKSERVER_KEPT_H
#define FORKSERVER_KEPT_H

#include <stdint.h>

/* The process makes this system call, with these arguments. */
void kept__note_call(long number, const uint64_t arguments[6]);

#endif
