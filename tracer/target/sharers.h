/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Other processes that have the same memory: made by clone(2) with CLONE_VM, without CLONE_THREAD.
 */
#ifndef TRACER_TARGET_SHARERS_H
#define TRACER_TARGET_SHARERS_H

#include <sys/types.h>
#include "target/threads.h"

/* Returns one that a thread of process pid has made, or 0. The process must stand still: then none
 * of them is a child of vfork(2). One whose parent has ended is not found. None is found if the
 * kernel does not list children (CONFIG_PROC_CHILDREN), or has no kcmp(2). */
pid_t sharers__find(pid_t pid, const struct threads *threads);

#endif
