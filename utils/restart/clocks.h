/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The clocks that count from when the machine was started, CLOCK_MONOTONIC and CLOCK_BOOTTIME. In
 * an image there are moments of them: of what a program waits for, of when something began. After a
 * reboot they are behind, and a process would wait for such a moment as long as the machine had
 * run. In a time namespace they go on from where they were. Source: time_namespaces(7).
 */
#ifndef RESTART_CLOCKS_H
#define RESTART_CLOCKS_H

#include "image/image.h"

/*
 * Makes sure that no clock of the caller is behind what it was for the process of an image: moves
 * the caller, which must have one thread, to a time namespace of its own if one is. Otherwise
 * nothing is done: for the process it is as if it had been stopped meanwhile. process: that of the
 * image; any numbers are harmless. *ret_behind_ns: how far behind the clock was that was most; 0 if
 * none was. It is always set. Returns 0; -EPERM without CAP_SYS_ADMIN or CAP_SYS_TIME; -ENOENT for
 * a kernel without time namespaces, or without /proc; -ERANGE for a clock that the kernel takes for
 * impossible; or the -errno of another call. On failure the clocks are as they were.
 */
int clocks__carry_on(const struct image_process *process, uint64_t *ret_behind_ns);

#endif
