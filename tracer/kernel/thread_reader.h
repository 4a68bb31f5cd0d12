/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reads what the threads of a process have registered with the kernel (bpf/thread_record.bpf.h),
 * without a call in the process.
 */
#ifndef TRACER_KERNEL_THREAD_READER_H
#define TRACER_KERNEL_THREAD_READER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "kernel/hooks.h"

struct thread_reader;

/* hooks: attached with list_faults; borrowed, and to be freed later than the reader. What is
 * attached for the counter remains so until then. Returns 0 and *ret_reader; -ENOMEM; or another
 * -errno. */
int thread_reader__open(const struct hooks *hooks, pid_t pid, struct thread_reader **ret_reader);

/* Grows with each call of a thread that registers something, while fault_list.h watches the
 * process. 0: there is no counter. */
uint64_t thread_reader__registrations(const struct thread_reader *reader);

/* Reads all threads as they are now. Returns 0; -ENOMEM; or another -errno: then no thread is
 * known. */
int thread_reader__read(struct thread_reader *reader);

/* What was read of a thread, valid until the next read; or NULL. It is found at once if threads are
 * asked for in their order. */
const struct thread_record *thread_reader__find(struct thread_reader *reader, pid_t tid);

/* thread_reader__close(NULL) is harmless. */
void thread_reader__close(struct thread_reader *reader);

#endif
