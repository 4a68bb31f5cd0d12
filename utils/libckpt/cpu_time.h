/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Processor time that the process and its threads have used in lives before this one. The kernel
 * counts anew in a process that was brought back, and counts the work of restart. Usable inside a
 * signal handler.
 */
#ifndef LIBCKPT_CPU_TIME_H
#define LIBCKPT_CPU_TIME_H

#include <stdint.h>

/* In ns, to be added to what the kernel says. May be negative: restart has used more. */
struct cpu_time {
	int64_t all, user, system;
};

/* Each thread, before its image is taken. */
void cpu_time__note_thread(void);
/* One thread, while all stand still. */
void cpu_time__note_process(void);
/* The same in a process that was brought back: goes on from what was noted. */
void cpu_time__continue_thread(void);
void cpu_time__continue_process(void);

/* A child of fork(2) has used nothing. */
void cpu_time__forget(void);

/* Of the process, and of the calling thread. */
const struct cpu_time *cpu_time__of_process(void);
const struct cpu_time *cpu_time__of_thread(void);

#endif
