/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Work that must come to its end even if the tracer is killed meanwhile. While it lasts, a thread
 * of the target has registers that are not its own.
 */
#ifndef TRACER_TARGET_HELPER_H
#define TRACER_TARGET_HELPER_H

/*
 * Calls work in a process of its own, which shares memory and descriptors with the caller. The
 * caller is suspended until it has ended, as in vfork(2). If the caller is killed, the helper goes
 * on. It blocks all signals. With ptrace(2), it is a tracer of its own.
 * Returns what work has returned; -ENOMEM or another -errno if there is no helper.
 */
int helper__run(int (*work)(void *argument), void *argument);

#endif
