/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Finding the dynamic loader's data, in which its locks are.
 */
#ifndef PRELOAD_LDSO_H
#define PRELOAD_LDSO_H

#include "libckpt/ldso_locks.h"

/* Sets *ret_locks. A program without a loader, or with one that does not name its data as glibc
 * does, has none. */
void ldso__find_locks(struct ldso_locks *ret_locks);

#endif
