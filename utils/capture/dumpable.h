/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A process that has dropped the rights of root is not dumpable: /proc/self is root's then. It is
 * made dumpable for as long as an image is written. Usable inside a signal handler.
 */
#ifndef CAPTURE_DUMPABLE_H
#define CAPTURE_DUMPABLE_H

#include <stdbool.h>

/* Makes the process dumpable, and undoes that. One thread at a time. */
void dumpable__begin(void);
void dumpable__end(void);

/* Was it dumpable before dumpable__begin? */
bool dumpable__was(void);

#endif
